package clustertarget

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/org/idp/internal/apply"
	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/strategy"
)

// unrestarted says which pods go on as they were although a ConfigMap or Secret that they use has changed: Kubernetes replaces pods
// when their template changes, and for nothing else.
func unrestarted(changes []apply.Change) (notes []string) {
	var changed []kubernetes.Ref
	for _, c := range changes {
		if c.Ref.APIVersion == "v1" && (c.Ref.Kind == "ConfigMap" || c.Ref.Kind == "Secret") && c.Before != nil && c.After != nil && !equal(c, "data") {
			changed = append(changed, c.Ref)
		}
	}
	for _, c := range changes {
		if c.Before == nil || c.After == nil || c.Action == apply.Recreate || !slices.Contains([]string{"Deployment", "StatefulSet", "DaemonSet"}, c.Ref.Kind) ||
			!equal(c, "spec", "template") {
			continue
		}
		uses := strategy.Uses(c.After)
		var names []string
		for _, ref := range changed {
			if slices.ContainsFunc(uses, ref.Same) {
				names = append(names, ref.String())
			}
		}
		if n := len(names); n > 3 {
			names = append(names[:2], fmt.Sprintf("%d more", n-2))
		}
		if len(names) > 0 {
			notes = append(notes, fmt.Sprintf("the pods of %s were not restarted for the new %s", c.Ref, strings.Join(names, ", ")))
		}
	}
	return notes
}

// equal tells whether a change leaves a part of the object as it is.
func equal(c apply.Change, path ...string) bool {
	before, _, _ := unstructured.NestedFieldNoCopy(c.Before.Object, path...)
	after, _, _ := unstructured.NestedFieldNoCopy(c.After.Object, path...)
	return equality.Semantic.DeepEqual(before, after)
}
