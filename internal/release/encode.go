package release

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
)

// unpacked is the bytes that a set may have: far more than any that fits, and a bound for a damaged or forged one.
const unpacked = 64 << 20

// encode makes the Secret of a release, and gives its size as the API server counts it: the bytes of its values. A set may have
// Secrets in it, so it is nothing for a ConfigMap.
func (h History) encode(r Release) (o *kubernetes.Object, size int, err error) {
	head, err := json.Marshal(r)
	if err != nil {
		return nil, 0, err
	}
	ref := h.ref(r.Number)
	data := map[string]any{keyRelease: base64.StdEncoding.EncodeToString(head), keySet: base64.StdEncoding.EncodeToString(r.set)}
	if len(r.found) > 0 {
		data[keyFound] = base64.StdEncoding.EncodeToString(r.found)
	}
	o = &kubernetes.Object{Object: map[string]any{"apiVersion": ref.APIVersion, "kind": ref.Kind, "type": secretType, "data": data}}
	o.SetName(ref.Name)
	o.SetNamespace(ref.Namespace)
	o.SetUID(r.uid)
	o.SetLabels(map[string]string{labelRelease: h.Service, "app.kubernetes.io/managed-by": "idp", "idp/state": string(r.State)})
	if r.Source.Repository != "" {
		o.SetAnnotations(map[string]string{annotationRepository: r.Source.Repository})
	}
	return o, len(head) + len(r.set) + len(r.found), nil
}

const (
	// largest is what a release may have when it is begun. A Secret has 1 MiB (corev1.MaxSecretSize); the rest is for what is
	// noted later, so that no release is begun of which nobody can say what became of it.
	largest = 1<<20 - 24<<10
	// longest is the bytes of a reason, each of which may be six in JSON.
	longest = 2 << 10
)

// cut is a reason of which there is room.
func cut(reason string) string {
	if len(reason) <= longest {
		return reason
	}
	return strings.ToValidUTF8(reason[:longest], "") + "…"
}

// shown is how many of the largest objects are named.
const shown = 3

// tooLarge refuses a release, and names what makes it so large.
func tooLarge(size int, set, found []kubernetes.Object) error {
	e := fault.BadInputf("the manifests of the service are too large to be kept for a rollback: %d KiB compressed, at most %d", kib(size), largest>>10)
	type part struct {
		what string
		o    kubernetes.Object
		size int
	}
	var parts []part
	for i, o := range slices.Concat(set, found) {
		what := kubernetes.RefOf(&o).String()
		if i >= len(set) {
			what += " as it was before, which is kept too"
		}
		data, _ := json.Marshal(o.Object)
		parts = append(parts, part{what, o, len(data)})
	}
	slices.SortStableFunc(parts, func(a, b part) int { return b.size - a.size })
	for _, p := range parts[:min(shown, len(parts))] {
		data, _ := pack([]kubernetes.Object{p.o})
		e = e.WithDetail(fmt.Sprintf("%s: %d KiB", p.what, kib(len(data))))
	}
	return e.WithNext("Nothing was changed. Take large files out of ConfigMaps and Secrets: into the image, or to where the service reads them from.")
}

func kib(size int) int { return (size + 1<<10 - 1) >> 10 }

// decode reads a release from its Secret. One that cannot be read is an error: without it nobody knows what there is.
func decode(o *kubernetes.Object) (Release, error) {
	var r Release
	bad := func(err error) (Release, error) {
		return r, fault.Undeterminedf("Secret %s in namespace %s is not a release that idp can read: %w", o.GetName(), o.GetNamespace(), err).
			WithNext("A newer idp may have written it. If nobody needs it any more: kubectl delete secret " + o.GetName() + " --namespace " + o.GetNamespace())
	}
	data, _, err := unstructured.NestedStringMap(o.Object, "data")
	if err != nil {
		return bad(err)
	}
	head, err := base64.StdEncoding.DecodeString(data[keyRelease])
	if err != nil {
		return bad(err)
	}
	if err := json.Unmarshal(head, &r); err != nil {
		return bad(err)
	}
	if r.set, err = base64.StdEncoding.DecodeString(data[keySet]); err != nil {
		return bad(err)
	}
	if r.found, err = base64.StdEncoding.DecodeString(data[keyFound]); err != nil {
		return bad(err)
	}
	if kind, _, _ := unstructured.NestedString(o.Object, "type"); kind != secretType || r.Number < 1 {
		return bad(fmt.Errorf("type %q, number %d", kind, r.Number))
	}
	r.Source.Repository = o.GetAnnotations()[annotationRepository]
	r.uid, r.version = o.GetUID(), o.GetResourceVersion()
	return r, nil
}

func pack(set []kubernetes.Object) ([]byte, error) {
	list := make([]map[string]any, len(set))
	for i := range set {
		list[i] = set[i].Object
	}
	data, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	err = w.Close()
	return b.Bytes(), err
}

func unpack(data []byte) ([]kubernetes.Object, error) {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(r, unpacked+1))
	if err != nil {
		return nil, err
	}
	if len(text) > unpacked {
		return nil, fmt.Errorf("it is larger than %d MiB", unpacked>>20)
	}
	// Numbers as the API machinery has them: int64 and float64.
	var list []json.RawMessage
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, err
	}
	set := make([]kubernetes.Object, len(list))
	for i, item := range list {
		if err := set[i].UnmarshalJSON(item); err != nil {
			return nil, err
		}
	}
	return set, nil
}
