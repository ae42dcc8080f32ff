package kubernetes

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// renewing sends a request for a Service once more that the API server did not let through, because its credentials had ended on
// the way: client-go asks for others on that answer. What the Service itself refuses has reached it, and is not sent again.
type renewing struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t renewing) RoundTrip(r *http.Request) (*http.Response, error) {
	again := r.Clone(r.Context()) // before client-go writes the credentials into it
	answer, err := t.RoundTripper.RoundTrip(r)
	if err != nil || !stopped(answer) || r.Body != nil && r.Body != http.NoBody && r.GetBody == nil {
		return answer, err
	}
	if r.GetBody != nil {
		if again.Body, err = r.GetBody(); err != nil {
			return answer, nil
		}
	}
	_ = answer.Body.Close()
	return t.RoundTripper.RoundTrip(again)
}

// letThrough is a header of every answer to a request whose sender the API server knows (pkg/util/flowcontrol, since 1.20).
const letThrough = "X-Kubernetes-Pf-Flowschema-Uid"

// stopped tells the answer of an API server that does not know who asks from that of a Service behind it, and leaves it to be read.
func stopped(answer *http.Response) bool {
	if answer.StatusCode != http.StatusUnauthorized || answer.Header.Get(letThrough) != "" {
		return false
	}
	data, err := io.ReadAll(io.LimitReader(answer.Body, 4<<10))
	answer.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(data), answer.Body), answer.Body}
	var status metav1.Status
	return err == nil && json.Unmarshal(data, &status) == nil && status.APIVersion == "v1" && status.Kind == "Status" && status.Reason == metav1.StatusReasonUnauthorized
}
