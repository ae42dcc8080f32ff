package apply

import (
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
)

// What an admission webhook makes of an image must be the digest that was verified.
func TestKeptImages(t *testing.T) {
	digest, other := "@sha256:"+strings.Repeat("1", 64), "@sha256:"+strings.Repeat("2", 64)
	object := func(containers string) *kubernetes.Object {
		o := &kubernetes.Object{}
		text := "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: x}\nspec: {jobTemplate: {spec: {template: {spec: {containers: [" + containers + "]}}}}}"
		if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
			t.Fatal(err)
		}
		return o
	}
	given := object("{name: app, image: 'registry/app" + digest + "'}, {name: proxy, image: 'proxy:v1'}")
	for name, c := range map[string]struct {
		after string
		want  string // what it runs; empty: it is the image
	}{
		"as it is":           {"{name: app, image: 'registry/app" + digest + "'}, {name: proxy, image: 'proxy:v1'}", ""},
		"from a mirror":      {"{name: app, image: 'mirror/registry/app" + digest + "'}, {name: proxy, image: 'mirror/proxy:v1'}", ""},
		"with another one":   {"{name: injected, image: 'injected:v1'}, {name: app, image: 'registry/app" + digest + "'}, {name: proxy, image: 'proxy:v1'}", ""},
		"another digest":     {"{name: proxy, image: 'proxy:v1'}, {name: app, image: 'registry/app" + other + "'}", "registry/app" + other},
		"without its digest": {"{name: app, image: 'registry/app:latest'}, {name: proxy, image: 'proxy:v1'}", "registry/app:latest"},
	} {
		err := keptImages(kubernetes.RefOf(given), given, object(c.after))
		if c.want == "" && err != nil || c.want != "" && (fault.KindOf(err) != fault.Failed || !strings.Contains(err.Error(), "runs "+c.want+" in place of registry/app"+digest)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
