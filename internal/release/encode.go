package release

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
)

// unpacked is the bytes that a set may have: far more than any that fits, and a bound for a damaged or forged one.
const unpacked = 64 << 20

// encode makes the Secret of a release. A set may have Secrets in it, so it is nothing for a ConfigMap.
func (h History) encode(r Release) (*kubernetes.Object, error) {
	head, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	ref := h.ref(r.Number)
	data := map[string]any{keyRelease: base64.StdEncoding.EncodeToString(head), keySet: base64.StdEncoding.EncodeToString(r.set)}
	if len(r.found) > 0 {
		data[keyFound] = base64.StdEncoding.EncodeToString(r.found)
	}
	o := &kubernetes.Object{Object: map[string]any{"apiVersion": ref.APIVersion, "kind": ref.Kind, "type": secretType, "data": data}}
	o.SetName(ref.Name)
	o.SetNamespace(ref.Namespace)
	o.SetUID(r.uid)
	o.SetLabels(map[string]string{labelRelease: h.Service, "app.kubernetes.io/managed-by": "idp", "idp/state": string(r.State)})
	return o, nil
}

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
