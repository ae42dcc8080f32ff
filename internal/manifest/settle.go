package manifest

import "github.com/org/idp/internal/kubernetes"

// Unstructured is every object as a cluster takes it, with the label of its service.
func (s Set) Unstructured() []kubernetes.Object {
	var list []kubernetes.Object
	for _, o := range s.Objects {
		u := kubernetes.Object{Object: o.Fields}
		u = *u.DeepCopy()
		l := u.GetLabels()
		if l == nil {
			l = map[string]string{}
		}
		l[kubernetes.LabelService] = l[labelName]
		u.SetLabels(l)
		list = append(list, u)
	}
	return list
}
