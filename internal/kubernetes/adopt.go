package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/jsonmergepatch"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/csaupgrade"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// Adoptable are the managers of an object that Adopt takes its fields over from: the tools with which people and Helm
// deploy. There are none but Manager itself where it has applied the object before, for then their changes are conflicts that
// somebody has to look at. What it wrote otherwise is left by a GiveBack that did not come to its end.
func Adoptable(live *Object) []string {
	var names []string
	ours := false
	for _, e := range live.GetManagedFields() {
		switch {
		case e.Subresource != "":
		case applied(e):
			ours = true
		case deploys(e.Manager) && !slices.Contains(names, e.Manager):
			names = append(names, e.Manager)
		}
	}
	switch {
	case !ours:
		return names
	case slices.Contains(names, Manager):
		return []string{Manager}
	}
	return nil
}

// applied tells of what Manager has applied.
func applied(e metav1.ManagedFieldsEntry) bool {
	return e.Manager == Manager && e.Operation == metav1.ManagedFieldsOperationApply
}

// deploys knows the managers that write whole objects. "kubectl rollout restart" and "kubectl scale" are no such.
func deploys(manager string) bool {
	return manager == "helm" || manager == Manager ||
		strings.HasPrefix(manager, "kubectl") && manager != "kubectl-rollout" && manager != "kubectl-scale" && manager != "kubectl-autoscale"
}

// adoptions bounds how often Adopt begins anew because the object changes meanwhile.
const adoptions = 5

// Adopt makes Manager the owner of what the Adoptable managers own, so that the next apply removes the fields that it does
// not name. It changes nothing else of the object.
func (c *Client) Adopt(ctx context.Context, ref Ref) error {
	for range adoptions {
		live, err := c.Get(ctx, ref)
		if err != nil || live == nil || len(Adoptable(live)) == 0 {
			return err
		}
		patch, err := adoption(live)
		if err != nil {
			return fmt.Errorf("the managed fields of %s cannot be read: %w", ref, err)
		}
		if _, err = c.patch(ctx, ref, types.JSONPatchType, patch, false); !apierrors.IsConflict(err) {
			return err
		}
	}
	return fmt.Errorf("%s changes all the time: it could not be adopted in %d attempts", ref, adoptions)
}

// givings bounds how often GiveBack begins anew.
const givings = 20

// GiveBack makes an object what it was when it was read, who set its fields too, but for its status. One that is gone is created.
// The label of the service comes off with the last request, so that it tells whether this came to its end.
func (c *Client) GiveBack(ctx context.Context, was *Object, service string) (*Object, error) {
	ref := RefOf(was)
	held := anew(was)
	labels := held.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	labels[LabelService] = service
	held.SetLabels(labels)
	var err error
	for range givings {
		var live *Object
		if live, err = c.Get(ctx, ref); err != nil {
			return nil, err
		}
		if live == nil {
			live, err = c.Create(ctx, held)
		} else {
			live, err = c.makeAs(ctx, live, held)
		}
		if err == nil {
			return c.disown(ctx, was, live)
		}
		if !IsConflict(err) && !IsExists(err) && !IsAway(err) {
			return nil, err
		}
		if err := c.sleep(ctx, 200*time.Millisecond); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%s could not be given back in %d attempts: %w", ref, givings, err)
}

// makeAs gives an object the content of another one, as long as it is the version that was read.
func (c *Client) makeAs(ctx context.Context, live, wanted *Object) (*Object, error) {
	before := plain(anew(live))
	patch, err := jsonmergepatch.CreateThreeWayJSONMergePatch(before, plain(wanted), before)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", RefOf(live), err)
	}
	var content map[string]any
	if err := json.Unmarshal(patch, &content); err != nil {
		return nil, fmt.Errorf("%s: %w", RefOf(live), err)
	}
	return c.patchOf(ctx, live, content)
}

// disown takes from Manager what giving an object back made it the owner of, and the label. Whoever writes to the object meanwhile,
// such as a controller its status, is no reason to begin anew.
func (c *Client) disown(ctx context.Context, was, live *Object) (*Object, error) {
	var label any
	if value, ok := was.GetLabels()[LabelService]; ok {
		label = value
	}
	meta := map[string]any{"managedFields": owned(was, live), "labels": map[string]any{LabelService: label}}
	data, err := json.Marshal(map[string]any{"metadata": meta})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", RefOf(was), err)
	}
	return c.patch(ctx, RefOf(was), types.MergePatchType, data, false)
}

// anew is an object without what tells it from another one of its name.
func anew(o *Object) *Object {
	o = o.DeepCopy()
	o.SetUID("")
	o.SetResourceVersion("")
	o.SetManagedFields(nil)
	unstructured.RemoveNestedField(o.Object, "metadata", "creationTimestamp")
	return o
}

// owned are the managers of an object as it was, with those that write its status and scale as they are.
func owned(was, live *Object) (entries []metav1.ManagedFieldsEntry) {
	for _, e := range was.GetManagedFields() {
		if e.Subresource == "" {
			entries = append(entries, e)
		}
	}
	for _, e := range live.GetManagedFields() {
		if e.Subresource != "" {
			entries = append(entries, e)
		}
	}
	return entries
}

// patchOf patches an object as long as it is the version that was read.
func (c *Client) patchOf(ctx context.Context, live *Object, patch map[string]any) (*Object, error) {
	meta, _ := patch["metadata"].(map[string]any)
	if meta == nil {
		meta = map[string]any{}
	}
	meta["resourceVersion"], patch["metadata"] = live.GetResourceVersion(), meta
	data, err := json.Marshal(patch)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", RefOf(live), err)
	}
	return c.patch(ctx, RefOf(live), types.MergePatchType, data, false)
}

// adoption is the patch that moves the fields. It holds the version of the object that was read.
func adoption(live *Object) ([]byte, error) {
	names, o := sets.New(Adoptable(live)...), live.DeepCopy()
	entries := o.GetManagedFields()
	for i := range entries {
		// What "kubectl apply --server-side" and Helm 4 applied is theirs in the same sense as what their forerunners wrote.
		if names.Has(entries[i].Manager) && entries[i].Subresource == "" && !applied(entries[i]) {
			entries[i].Operation = metav1.ManagedFieldsOperationUpdate
		}
	}
	o.SetManagedFields(entries)
	return csaupgrade.UpgradeManagedFieldsPatch(o, names, Manager)
}

// PlanAdoption has the API server tell, without keeping it, what Adopt and then Apply make of an object: live as it was
// read, applied as a forced dry-run of the apply gave it.
func (c *Client) PlanAdoption(ctx context.Context, live, applied *Object) (*Object, error) {
	wanted, err := withoutAdopted(applied, Adoptable(live))
	if err != nil {
		return nil, fmt.Errorf("the managed fields of %s cannot be read: %w", RefOf(live), err)
	}
	before, after := plain(live), plain(wanted)
	patch, err := jsonmergepatch.CreateThreeWayJSONMergePatch(before, after, before)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", RefOf(live), err)
	}
	return c.patch(ctx, RefOf(live), types.MergePatchType, patch, true)
}

// plain is an object without what changes with every write.
func plain(o *Object) []byte {
	o = o.DeepCopy()
	o.SetManagedFields(nil)
	o.SetResourceVersion("")
	o.SetGeneration(0)
	delete(o.Object, "status")
	data, _ := json.Marshal(o.Object)
	return data
}

// withoutAdopted takes away the fields that only the named managers own.
func withoutAdopted(o *Object, managers []string) (*Object, error) {
	kept, gone := fieldpath.NewSet(), fieldpath.NewSet()
	for _, e := range o.GetManagedFields() {
		if e.FieldsV1 == nil {
			continue
		}
		var fields fieldpath.Set
		if err := fields.FromJSON(e.FieldsV1.GetRawReader()); err != nil {
			return nil, err
		}
		if slices.Contains(managers, e.Manager) && e.Subresource == "" && !applied(e) {
			gone = gone.Union(&fields)
		} else {
			kept = kept.Union(&fields)
		}
	}
	var paths []fieldpath.Path
	gone.Iterate(func(p fieldpath.Path) {
		if !covers(kept, p) {
			paths = append(paths, p.Copy())
		}
	})
	// A whole item of a list goes before the fields that it is known by.
	slices.SortStableFunc(paths, func(a, b fieldpath.Path) int { return len(a) - len(b) })
	o = o.DeepCopy()
	for _, p := range paths {
		remove(o.Object, p)
	}
	return o, nil
}

// covers tells whether a set has a path, or something below it.
func covers(s *fieldpath.Set, p fieldpath.Path) bool {
	for _, e := range p[:len(p)-1] {
		s = s.WithPrefix(e)
	}
	last := p[len(p)-1]
	return s.Members.Has(last) || !s.WithPrefix(last).Empty()
}

// remove takes the value at a path out of v, and gives what is left of v.
func remove(v any, p fieldpath.Path) any {
	switch v := v.(type) {
	case map[string]any:
		if p[0].FieldName == nil {
			return v
		}
		name := *p[0].FieldName
		if len(p) == 1 {
			delete(v, name)
		} else if child, ok := v[name]; ok {
			v[name] = remove(child, p[1:])
		}
		return v
	case []any:
		i := slices.IndexFunc(v, func(item any) bool { return is(item, p[0]) })
		if p[0].Index != nil && *p[0].Index < len(v) {
			i = *p[0].Index
		}
		if i < 0 {
			return v
		}
		if len(p) == 1 {
			return slices.Delete(v, i, i+1)
		}
		v[i] = remove(v[i], p[1:])
		return v
	}
	return v
}

// is tells whether an item of a list is the one that an element of a path means.
func is(item any, e fieldpath.PathElement) bool {
	switch {
	case e.Value != nil:
		return (*e.Value).Unstructured() == item
	case e.Key != nil:
		fields, ok := item.(map[string]any)
		if !ok {
			return false
		}
		for _, key := range *e.Key {
			if fields[key.Name] != key.Value.Unstructured() {
				return false
			}
		}
		return true
	}
	return false
}
