package portalsfake

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/org/idp/internal/testkit/npm"
)

// The Go module that has Datadog's description, and its checksum as a go.sum would have it.
const (
	datadogModule = "github.com/DataDog/datadog-api-client-go/v2@v2.67.0"
	datadogSum    = "h1:fNIlvUjfCEL/wFrtXioCT+ah/o04M7475klcF97bZj0="
	datadogFile   = ".generator/schemas/v2/openapi.yaml"
)

// datadogForms are the schemas that are cut out, with all that they refer to.
var datadogForms = []string{DatadogEntity, DatadogDeployment}

// datadog gives the description cut to what is used, 10 kB of 9 MB, as JSON.
func datadog() ([]byte, error) {
	return npm.Cached("1 "+datadogSum+strings.Join(datadogForms, " "), func(dir string) ([]byte, error) {
		cmd := exec.Command("go", "mod", "download", "-json", datadogModule)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOMODCACHE="+filepath.Join(dir, "mod"), "GOFLAGS=-modcacherw", "GOWORK=off")
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("go mod download %s: %w\n%s", datadogModule, err, out)
		}
		var module struct{ Dir, Sum string }
		if err := json.Unmarshal(out, &module); err != nil {
			return nil, err
		}
		if module.Sum != datadogSum {
			return nil, fmt.Errorf("%s is %s, not %s", datadogModule, module.Sum, datadogSum)
		}
		data, err := os.ReadFile(filepath.Join(module.Dir, datadogFile))
		if err != nil {
			return nil, err
		}
		return cut(data)
	})
}

// cut keeps the schemas and what they refer to, and closes every object that has fields of its own: Datadog ignores fields
// that it does not know, so that a misspelt one would never be noticed.
func cut(data []byte) ([]byte, error) {
	var all struct {
		Components struct {
			Schemas map[string]map[string]any `yaml:"schemas"`
		} `yaml:"components"`
	}
	if err := yaml.Unmarshal(data, &all); err != nil {
		return nil, err
	}
	kept := map[string]any{}
	var follow func(any) error
	follow = func(v any) error {
		switch v := v.(type) {
		case []any:
			for _, item := range v {
				if err := follow(item); err != nil {
					return err
				}
			}
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				name := strings.TrimPrefix(ref, "#/components/schemas/")
				s, there := all.Components.Schemas[name]
				if !there {
					return fmt.Errorf("the description of Datadog refers to %s, which is not in it", ref)
				}
				if _, done := kept[name]; done {
					return nil
				}
				kept[name] = s
				return follow(s)
			}
			if v["properties"] != nil && v["additionalProperties"] == nil {
				v["additionalProperties"] = false
			}
			if v["nullable"] == true {
				v["type"] = []any{v["type"], "null"}
			}
			for _, item := range v {
				if err := follow(item); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for _, name := range datadogForms {
		if err := follow(map[string]any{"$ref": "#/components/schemas/" + name}); err != nil {
			return nil, err
		}
	}
	return json.Marshal(map[string]any{"components": map[string]any{"schemas": kept}})
}
