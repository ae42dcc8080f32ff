package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/net/http2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilnet "k8s.io/apimachinery/pkg/util/net"

	"github.com/org/idp/internal/fault"
)

// UnknownKindError is a kind that the cluster does not have.
type UnknownKindError struct {
	GVK schema.GroupVersionKind
	Has []string // versions of the group in which it has the kind
}

// Error implements error.
func (e *UnknownKindError) Error() string {
	text := fmt.Sprintf("the cluster has no kind %s of %s", e.GVK.Kind, e.GVK.GroupVersion())
	if len(e.Has) > 0 {
		text += "; it has that of " + strings.Join(e.Has, ", ")
	}
	return text
}

// Conflict is one field that another manager owns.
type Conflict struct {
	Manager string // as the cluster names it, with the subresource that it used, such as "kubectl (scale)"
	Field   string // path, such as .spec.replicas
}

// ConflictError is an apply that would take fields from other managers.
type ConflictError struct {
	Ref       Ref
	Conflicts []Conflict
}

// Error implements error.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("%s: %d fields belong to another manager", e.Ref, len(e.Conflicts))
}

// IsExists tells that an object to be created is there already.
func IsExists(err error) bool { return apierrors.IsAlreadyExists(err) }

// IsConflict tells that an object has changed since it was read, or is another one of the same name.
func IsConflict(err error) bool {
	var fields *ConflictError
	return apierrors.IsConflict(err) && !errors.As(err, &fields)
}

// loginError is a program of a kubeconfig that gives no credentials.
type loginError struct{ error }

// Unwrap gives the cause.
func (e *loginError) Unwrap() error { return e.error }

// login matches how client-go words it (plugin/pkg/client/auth/exec/exec.go).
var login = regexp.MustCompile(`getting credentials: (exec: .*)`)

// IsGone tells that there is no object of the name.
func IsGone(err error) bool { return apierrors.IsNotFound(err) }

// IsForbidden tells that the credentials may not do this, as opposed to an admission that refuses the object.
func IsForbidden(err error) bool {
	return apierrors.IsForbidden(err) && denied(err) == "" && !uncounted(err)
}

// unreachableError is an API server that did not answer.
type unreachableError struct{ error }

// Unwrap gives the cause.
func (e *unreachableError) Unwrap() error { return e.error }

// IsAway tells that the API server did not answer, so that whether it did what was asked is not known.
func IsAway(err error) bool {
	var away *unreachableError
	return errors.As(err, &away)
}

// IsUnreachable tells that nothing can be asked of the cluster: it did not answer, or does not know who asks.
func IsUnreachable(err error) bool {
	var session *loginError
	return IsAway(err) || errors.As(err, &session) || apierrors.IsUnauthorized(err) || errors.Is(err, context.Canceled)
}

// Causes are the fields that an invalid object was refused for, and why.
func Causes(err error) []metav1.StatusCause {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return nil
	}
	return status.Status().Details.Causes
}

// passing tells of trouble that goes by itself: the API server is away, restarting or overloaded.
func passing(err error) bool {
	if errors.Is(err, context.Canceled) {
		return false
	}
	if meta.IsNoMatchError(err) || login.MatchString(err.Error()) || malformed.MatchString(err.Error()) || webhookAway(err) {
		return false
	}
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Code >= 500 {
		return true // also those without a reason, which is how the trouble of etcd looks
	}
	var network net.Error
	var stream http2.StreamError
	return apierrors.IsServerTimeout(err) || apierrors.IsTooManyRequests(err) || apierrors.IsServiceUnavailable(err) || apierrors.IsInternalError(err) ||
		apierrors.IsTimeout(err) || utilnet.IsConnectionRefused(err) || utilnet.IsConnectionReset(err) || utilnet.IsProbableEOF(err) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.EPIPE) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &network) && network.Timeout() ||
		// HTTP/2 words a connection that stands still, and a request that its server drops, in a way of its own.
		utilnet.IsHTTP2ConnectionLost(err) || errors.As(err, &stream)
}

// unsent tells that a request was not carried out, because nobody took it.
func unsent(err error) bool {
	return utilnet.IsConnectionRefused(err) || apierrors.IsTooManyRequests(err)
}

// unsettled tells of what an API server says wrongly in the moments after its start.
func unsettled(err error) bool {
	return apierrors.IsUnauthorized(err) || IsForbidden(err) || meta.IsNoMatchError(err)
}

// uncounted tells that a quota is so new that the cluster has not counted yet what there is. Until then it lets nothing in, in
// words that are no different from those of missing rights.
func uncounted(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "status unknown for quota: ")
}

// MalformedError is an object that does not have the form of its kind, such as for a field that the kind does not have.
type MalformedError struct{ Problem string }

// Error implements error.
func (e *MalformedError) Error() string { return e.Problem }

// malformed matches how server-side apply words it. It has no reason by which to know it, and says code 500.
var malformed = regexp.MustCompile(`(?s)failed to create typed patch object \([^)]*\): (.*)`)

// goValue matches how it writes a value of another type than the kind wants, such as a number that should have been quoted.
var goValue = regexp.MustCompile(`&value\.valueUnstructured\{Value:([^{}]*)\}`)

// explain says what an error of the API server means for the person who deploys. What callers tell apart stays reachable.
func explain(err error, verb string, ref Ref, server string) error {
	if err == nil {
		return nil
	}
	what := strings.TrimSpace(verb + " " + ref.String())
	if ref == (Ref{}) {
		what = "ask what kinds it has"
	}
	switch conflicts := conflictsOf(err); {
	case refusedByAdmission(err):
		return fault.Failedf("%s is refused by the cluster: %s", ref, denied(err)).WithNext(admissionAdvice(err))
	case webhookAway(err):
		return fault.Undeterminedf("%s: an admission webhook of the cluster does not answer: %w", ref, err).
			WithNext("Talk to who runs the cluster: until the webhook answers, nobody can apply this.")
	case apierrors.IsNotFound(err), apierrors.IsAlreadyExists(err), meta.IsNoMatchError(err):
		return err
	case malformed.MatchString(err.Error()):
		return &MalformedError{goValue.ReplaceAllString(malformed.FindStringSubmatch(err.Error())[1], "$1")}
	case apierrors.IsBadRequest(err), apierrors.IsRequestEntityTooLargeError(err):
		return &MalformedError{err.Error()}
	case len(conflicts) > 0:
		return &ConflictError{ref, conflicts}
	case apierrors.IsConflict(err), apierrors.IsInvalid(err):
		return err
	case login.MatchString(err.Error()):
		return fault.Undeterminedf("the login that the kubeconfig names gives no credentials for the cluster %s: %w", server, &reworded{login.FindStringSubmatch(err.Error())[1], &loginError{err}}).
			WithNext("Its session may have expired: log in to the cluster again in a step before. What it says itself is above.")
	case apierrors.IsUnauthorized(err):
		return fault.Undeterminedf("the cluster %s does not accept the credentials: %w", server, err).
			WithNext("They may have expired: log in to the cluster again in a step before, and give the step a fresh kubeconfig.")
	case uncounted(err):
		_, why, _ := strings.Cut(err.Error(), "is forbidden: ")
		return fault.Undeterminedf("the cluster has not counted what a quota is for, and lets %s in only then: %w", ref, &reworded{why, err}).
			WithNext("Deploy again in a moment. If it stays so: does the quota have a status (kubectl describe quota)?")
	case apierrors.IsForbidden(err):
		_, why, _ := strings.Cut(err.Error(), "is forbidden: ")
		return fault.Undeterminedf("the credentials may not %s: %w", what, &reworded{why, err}).
			WithNext("Let a cluster administrator apply what this prints: idp deploy --print-rbac")
	case passing(err):
		return fault.Undeterminedf("the cluster %s cannot be reached (%s): %w", server, what, &unreachableError{err}).
			WithNext("Is the API server up, and may this machine reach it?")
	}
	return fmt.Errorf("cannot %s: %w", what, err)
}

// admission are the ways in which the API server words a refusal that is about the object and not about who asks.
var admission = regexp.MustCompile(`(?s)(admission webhook "[^"]+" denied the request.*|ValidatingAdmissionPolicy '[^']+'.* denied request: .*|exceeded quota: .*|violates PodSecurity .*|(?:minimum|maximum) (?:cpu|memory) usage per .*|failed quota: .*|namespace \S+ .*is being terminated.*|unable to create new content in namespace .*)`)

// denied is what an admission plugin says, or empty where the refusal is about permissions.
func denied(err error) string {
	return strings.Join(strings.Fields(admission.FindString(err.Error())), " ")
}

// refusedByAdmission tells of a request that was understood and permitted, and then refused for what the object says. A
// policy or webhook chooses its code, 403 or 422 as a rule.
func refusedByAdmission(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && status.Status().Code >= 400 && status.Status().Code < 500 && denied(err) != ""
}

// webhookAway tells that the API server could not ask a webhook without which nothing is admitted. It has waited for it
// already, up to 30 s.
func webhookAway(err error) bool { return strings.Contains(err.Error(), "failed calling webhook") }

// reworded is an error in other words.
type reworded struct {
	text  string
	cause error
}

// Error implements error.
func (e *reworded) Error() string {
	if e.text == "" {
		return e.cause.Error()
	}
	return e.text
}

// Unwrap gives the cause.
func (e *reworded) Unwrap() error { return e.cause }

func admissionAdvice(err error) string {
	text := err.Error()
	switch {
	case strings.Contains(text, "quota"):
		return "The namespace has no room for it: scale down, or ask for a larger quota (kubectl describe quota)."
	case strings.Contains(text, "being terminated"):
		return "The namespace is being deleted. Wait until it is gone, and deploy again."
	}
	return "A rule of the cluster forbids it: change what the rule names, or talk to who runs the cluster."
}

var managerOf = regexp.MustCompile(`conflict with "([^"]*)"(?: with subresource "([^"]*)")?`)

func conflictsOf(err error) []Conflict {
	if !apierrors.IsConflict(err) {
		return nil
	}
	var list []Conflict
	for _, c := range Causes(err) {
		if c.Type != metav1.CauseTypeFieldManagerConflict {
			continue
		}
		manager := c.Message
		if m := managerOf.FindStringSubmatch(c.Message); m != nil {
			if manager = m[1]; m[2] != "" {
				manager += " (" + m[2] + ")"
			}
		}
		list = append(list, Conflict{Manager: manager, Field: c.Field})
	}
	slices.SortFunc(list, func(a, b Conflict) int { return strings.Compare(a.Field, b.Field) })
	return list
}
