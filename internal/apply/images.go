package apply

import (
	"strings"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
)

// keptImages refuses what the cluster makes of an object when it runs another image than one that is given by its digest, as an
// admission webhook has it do. The same digest from a mirror is the same image.
func keptImages(ref kubernetes.Ref, given, after *kubernetes.Object) error {
	from, to := exchanged(given.Object, after.Object)
	if from == "" {
		return nil
	}
	return fault.Failedf("%s: the cluster runs %s in place of %s", ref, safe(to, valueRunes), safe(from, valueRunes)).
		WithNext("An admission webhook changes it: let it keep the digest, or talk to who runs the cluster.")
}

// exchanged is the first image with a digest that is given and another one in what came of it, and that one.
func exchanged(given, after any) (from, to string) {
	switch given := given.(type) {
	case map[string]any:
		after, _ := after.(map[string]any)
		if image, ok := given["image"].(string); ok {
			_, digest, pinned := strings.Cut(image, "@sha256:")
			if other, ok := after["image"].(string); ok && pinned && !strings.HasSuffix(other, "@sha256:"+digest) {
				return image, other
			}
		}
		for key, value := range given {
			if from, to = exchanged(value, after[key]); from != "" {
				return from, to
			}
		}
	case []any:
		after, _ := after.([]any)
		items := keyed(after)
		for i, item := range given {
			name, _ := key(given, i)
			if from, to = exchanged(item, items[name]); from != "" {
				return from, to
			}
		}
	}
	return "", ""
}
