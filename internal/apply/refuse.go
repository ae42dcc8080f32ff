package apply

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
)

// refuse says in a change why the object is not applied.
func refuse(change Change, err error) Change {
	change.err = explain(change.Ref, err)
	change.Refused = change.err.Error()
	return change
}

// explain classifies an error of the cluster by what the author of the object can do about it.
func explain(ref kubernetes.Ref, err error) error {
	var known *fault.Error
	var unknown *kubernetes.UnknownKindError
	var conflict *kubernetes.ConflictError
	var malformed *kubernetes.MalformedError
	fixed := immutable(err)
	switch {
	case errors.As(err, &known):
		return err
	case errors.As(err, &unknown):
		return fault.BadInputf("%s: %w", ref, err).
			WithNext("Is its apiVersion right? A custom resource needs its definition: install it, or deploy it in the same set.")
	case errors.As(err, &conflict):
		return conflicts(conflict)
	case len(fixed) > 0:
		return unchangeable(ref, fixed, err)
	case apierrors.IsInvalid(err), errors.As(err, &malformed):
		return invalid(ref, err)
	case apierrors.IsNotFound(err) && ref.Namespace != "":
		return fault.BadInputf("%s: there is no namespace %s in the cluster", ref, ref.Namespace).
			WithNext("Create it: kubectl create namespace " + ref.Namespace)
	}
	return fault.Undeterminedf("%s: %w", ref, err)
}

func conflicts(e *kubernetes.ConflictError) error {
	what := fault.Failedf("%s: %d %s to another manager", e.Ref, len(e.Conflicts), plural(len(e.Conflicts), "field belongs", "fields belong"))
	for _, c := range e.Conflicts {
		what = what.WithDetail(fmt.Sprintf("%s is set by %s", field(c), c.Manager))
	}
	if slices.Contains(e.Conflicts, kubernetes.Conflict{Manager: "kube-controller-manager (scale)", Field: ".spec.replicas"}) {
		what = what.WithNext("An autoscaler sets spec.replicas: leave it out of the manifest.")
	}
	return what.WithNext("Leave it out of the manifest, or have it taken over: deploy: {conflicts: force} in the policy.")
}

// invalid is an object that the API server does not accept: each field, and why.
func invalid(ref kubernetes.Ref, err error) error {
	causes := kubernetes.Causes(err)
	if len(causes) == 0 {
		return fault.BadInputf("%s is not valid: %w", ref, err)
	}
	e := fault.BadInputf("%s is not valid", ref)
	e.Err = err
	if len(causes) == 1 {
		e.What += ": " + cause(causes[0])
		return e
	}
	for _, c := range causes {
		e = e.WithDetail(cause(c))
	}
	return e
}

// causeRunes bounds what the API server says of one field.
const causeRunes = 400

// cause is one field and why it is not accepted, without a value that is a whole object.
func cause(c metav1.StatusCause) string {
	text := c.Message
	if i := strings.LastIndex(text, "}: "); i > causeRunes/2 {
		text = "Invalid value: …" + text[i+1:]
	}
	if c.Field != "" && c.Field != "[]" { // else it is the whole object
		text = c.Field + ": " + text
	}
	return safe(text, causeRunes)
}

// fixed are the ways in which the API server says that a field cannot be changed once the object is there.
var fixed = regexp.MustCompile(`(?i)immutable|may not change|may not be changed|cannot be changed|cannot change|updates to .* forbidden|may not update|may not be unset|self == oldSelf`)

// immutable are the causes of an error that only a new object would do away with.
func immutable(err error) []metav1.StatusCause {
	if !apierrors.IsInvalid(err) {
		return nil
	}
	causes := kubernetes.Causes(err)
	if slices.ContainsFunc(causes, func(c metav1.StatusCause) bool { return !fixed.MatchString(c.Message) }) {
		return nil // it is wrong in another way too, so that a new object would not be accepted either
	}
	return causes
}

func unchangeable(ref kubernetes.Ref, causes []metav1.StatusCause, err error) error {
	var names []string
	for _, c := range causes {
		if !slices.Contains(names, c.Field) {
			names = append(names, c.Field)
		}
	}
	e := fault.BadInputf("%s: %s cannot be changed while the object exists", ref, strings.Join(names, ", "))
	e.Err = err
	for _, c := range causes {
		if _, why, ok := strings.Cut(c.Message, "Forbidden: "); ok { // such as which fields may be changed
			why, _, _ = strings.Cut(why, "\n") // below it may be the whole object
			e = e.WithDetail(safe(why, causeRunes))
		}
	}
	if Keeps(ref) {
		return e.WithNext("Give it its old value. It is not deleted by a deploy, since data or objects of others go with it.")
	}
	return e.WithNext("Give it its old value, or have the object deleted and created anew: --recreate", consequence(ref.Kind))
}

// consequence is what creating an object anew means for who uses it.
func consequence(kind string) string {
	switch kind {
	case "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Pod", "Rollout":
		return "All its pods stop before new ones start: the service is down meanwhile."
	case "Job":
		return "It runs again."
	case "Service":
		return "It gets a new address, and open connections break."
	case "ConfigMap", "Secret":
		return "Pods that mount it keep the old content until they start anew; a new name is safer."
	}
	return "It is gone for a moment, with what it owns."
}

// overQuota tells that a quota has no room for the object.
func overQuota(err error) bool {
	return err != nil && strings.Contains(err.Error(), "exceeded quota: ")
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// unreachable tells that the other objects would end the same way.
func unreachable(err error) bool {
	return kubernetes.IsUnreachable(err)
}

// refusals joins what is refused in a plan.
func refusals(changes []Change) error {
	var list []error
	for _, c := range changes {
		if c.err != nil {
			list = append(list, c.err)
		}
	}
	return joined(list, len(changes))
}

// shownProblems is how many problems are told in full; whoever has more has the same one many times.
const shownProblems = 20

// joined is one error for all problems. What could not be determined weighs most, then what the author has to change.
func joined(problems []error, of int) error {
	if len(problems) <= 1 {
		return errors.Join(problems...)
	}
	all := &fault.Error{Kind: fault.Failed, What: fmt.Sprintf("%d of %d objects cannot be applied", len(problems), of), Err: errors.Join(problems...)}
	for i, err := range problems {
		switch kind := fault.KindOf(err); {
		case kind == fault.Undetermined:
			all.Kind = kind
		case kind == fault.BadInput && all.Kind == fault.Failed:
			all.Kind = kind
		}
		if i < shownProblems {
			tell(all, err)
		}
	}
	if n := len(problems) - shownProblems; n > 0 {
		all.Detail = append(all.Detail, fmt.Sprintf("… and %d more", n))
	}
	return all
}

func tell(all *fault.Error, err error) {
	var e *fault.Error
	if !errors.As(err, &e) {
		all.Detail = append(all.Detail, err.Error())
		return
	}
	all.Detail = append(all.Detail, e.What)
	for _, d := range e.Detail {
		all.Detail = append(all.Detail, "  "+d)
	}
	for _, n := range e.Next {
		if !slices.Contains(all.Next, n) {
			all.Next = append(all.Next, n)
		}
	}
}
