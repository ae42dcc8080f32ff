package kubernetes

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// live is a Deployment as an API server gives it back after an apply, without what does not matter here.
const live = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: shop
  labels: {team: a, other: b}
  managedFields:
  - manager: idp
    operation: Apply
    fieldsV1: {"f:metadata":{"f:labels":{"f:team":{}}},"f:spec":{"f:replicas":{},"f:selector":{},"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"app\"}":{".":{},"f:image":{},"f:name":{},"f:ports":{"k:{\"containerPort\":8080,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}}}}}}}}
  - manager: kube-controller-manager
    operation: Update
    subresource: status
    fieldsV1: {"f:status":{"f:replicas":{}}}
spec:
  replicas: 2
  selector: {matchLabels: {app: shop}}
  template: {spec: {containers: [{name: side, image: side:1}, {name: app, image: app:1, ports: [{containerPort: 8080, protocol: TCP}]}]}}
`

func TestChanged(t *testing.T) {
	t.Parallel()
	image := func(from string) string { return strings.Replace(from, `"f:image":{},`, "", 1) }
	for name, tc := range map[string]struct {
		was, is, want string
	}{
		"nothing":                      {live, live, ""},
		"what another one set":         {live, strings.Replace(live, "side:1", "side:2", 1), ""},
		"another one's label":          {live, strings.Replace(live, "other: b", "other: c", 1), ""},
		"taken over and kept":          {live, image(live), ""},
		"taken over and filled":        {live, strings.Replace(strings.Replace(live, `"f:selector":{},`, "", 1), "{app: shop}}", "{app: shop}, matchExpressions: []}", 1), ""},
		"taken over and changed":       {live, strings.Replace(image(live), "app:1", "app:2", 1), `.spec.template.spec.containers[name="app"].image`},
		"the container is gone":        {live, strings.Replace(image(live), "name: app, image", "name: other, image", 1), `.spec.template.spec.containers[name="app"].image`},
		"a whole":                      {live, strings.NewReplacer(`"f:selector":{},`, "", "{app: shop}}", "{app: other}}").Replace(live), ".spec.selector"},
		"a label":                      {live, strings.NewReplacer(`"f:team":{}`, "", "team: a", "team: c").Replace(live), ".metadata.labels.team"},
		"replicas, by an autoscaler":   {live, strings.NewReplacer(`"f:replicas":{},"f:selector"`, `"f:selector"`, "replicas: 2", "replicas: 5").Replace(live), ""},
		"by someone, all of it":        {live, strings.NewReplacer("manager: idp", "manager: other", "app:1", "app:2").Replace(live), `.spec.template.spec.containers[name="app"].image`},
		"what was not applied by idp":  {strings.Replace(live, "manager: idp", "manager: other", 1), strings.Replace(live, "app:1", "app:2", 1), ""},
		"an account that is not known": {strings.Replace(live, `{"f:metadata"`, `{"f:unknown":{"f:more":{}},"f:metadata"`, 1), live, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var was, is Object
			for o, text := range map[*Object]string{&was: tc.was, &is: tc.is} {
				data, err := yaml.YAMLToJSON([]byte(text))
				if err == nil {
					err = o.UnmarshalJSON(data)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if got, err := Changed(&was, &is); got != tc.want || err != nil {
				t.Errorf("%q, %v, want %q", got, err, tc.want)
			}
			broken := *is.DeepCopy()
			fields := broken.GetManagedFields()
			fields[0].Manager, fields[0].FieldsV1 = Manager, &metav1.FieldsV1{Raw: []byte(`{"of another form":{}}`)}
			broken.SetManagedFields(fields)
			for _, pair := range [][2]*Object{{&was, &broken}, {&broken, &is}} {
				if got, err := Changed(pair[0], pair[1]); got != "" || err == nil {
					t.Errorf("with an account that cannot be read: %q, %v", got, err)
				}
			}
		})
	}
}
