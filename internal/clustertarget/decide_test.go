package clustertarget

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/org/idp/internal/apply"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/kubernetes"
	"github.com/org/idp/internal/release"
	"github.com/org/idp/internal/target"
)

// past is a history, the newest release first, each as "state", "state proven", "state tested" or "state of N" for one that restores v N.
func past(states ...string) []release.Release {
	var list []release.Release
	for i, text := range states {
		r := release.Release{Number: len(states) - i, Digest: fmt.Sprintf("sha256:%064d", len(states)-i), Created: time.Unix(0, 0), Holder: "me"}
		state, more, _ := strings.Cut(text, " ")
		r.State, r.Proven = release.State(state), more == "proven" || state == "good"
		r.Tested = more == "tested"
		_, _ = fmt.Sscanf(more, "of %d", &r.Restores)
		list = append(list, r)
	}
	return list
}

func TestChoose(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		list  []release.Release
		to    string
		want  string // release, or words of the refusal
		fails bool
	}{
		"the one before":                       {past("live", "superseded", "superseded"), "", "v2", false},
		"the last that was good":               {past("live", "superseded", "superseded proven"), "", "v1", false},
		"none that failed":                     {past("live", "failed", "rolled-back", "superseded"), "", "v1", false},
		"none that was cut off":                {past("failed", "live", "superseded"), "", "v1", false},
		"from a rollback, before what it is":   {past("live of 2", "rolled-back", "superseded", "superseded"), "", "v1", false},
		"from a rollback to the first":         {past("live of 1", "rolled-back", "superseded"), "", "there is no earlier release", true},
		"there is only one":                    {past("good"), "", "there is no earlier release", true},
		"there is none":                        {nil, "", "there is no earlier release", true},
		"only failed ones":                     {past("live", "failed", "failed"), "", "there is no earlier release", true},
		"nothing is live":                      {past("failed", "superseded"), "", "v1", false},
		"by name, whatever became of it":       {past("live", "superseded", "failed"), "v1", "v1", false},
		"by the name of what is live":          {past("live", "superseded"), "v2", "is live already", true},
		"by a name that there is not":          {past("live", "superseded"), "v9", `there is no release "v9"`, true},
		"by a number":                          {past("live", "superseded"), "1", `there is no release "1"`, true},
		"by the name of one that is not kept":  {past("live", "superseded")[:1], "v1", `there is no release "v1"`, true},
		"by name, back to one that was a copy": {past("live", "superseded of 1", "superseded"), "v2", "v2", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &deploy{list: tc.list, current: release.Current(tc.list), Target: Target{Inputs: Inputs{Service: "shop", Namespace: "shop"}}}
			old, err := d.choose(tc.to)
			if tc.fails {
				if old != nil || fault.KindOf(err) != fault.BadInput || !strings.Contains(err.Error(), tc.want) {
					t.Fatalf("%+v, %v; want %q", old, err, tc.want)
				}
				return
			}
			if err != nil || old.Name() != tc.want {
				t.Fatalf("%+v, %v; want %s", old, err, tc.want)
			}
		})
	}
}

// A refusal to go back to what is not there names what is.
func TestChooseNamesWhatThereIs(t *testing.T) {
	t.Parallel()
	list := past("live", "failed")
	_, err := (&deploy{list: list, current: release.Current(list)}).choose("v7")
	text := strings.Join(fault.Lines(err), "\n")
	for _, want := range []string{"v2  live  ", "v1  failed  "} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
}

// What a process left that was killed, by what it had written last. See release.State for the order.
func TestUnfinished(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		list []release.Release
		want string // empty: nothing is to be put in order
	}{
		"nothing was begun":                            {nil, ""},
		"it was being applied":                         {past("pending", "good"), "v2"},
		"healthy, and not tested yet":                  {past("live tested", "superseded"), "v2"},
		"healthy, and no test comes":                   {past("live", "superseded"), ""},
		"confirmed":                                    {past("good", "superseded"), ""},
		"failed, and not put back yet":                 {past("failed", "good"), "v2"},
		"being put back":                               {past("pending of 1", "failed", "good"), "v3"},
		"put back, to one that nobody has tested":      {past("live of 1", "failed", "superseded"), "v3"},
		"put back, to a good one":                      {past("good of 1", "failed", "superseded proven"), "v3"},
		"taken back by hand":                           {past("rolled-back", "superseded"), ""},
		"another deploy has begun since, and is at it": {another(past("pending", "failed", "good")), ""},
		"another deploy has come after it":             {another(past("live", "failed", "good")), ""},
	} {
		got := ""
		if r := unfinished(tc.list, "me"); r != nil {
			got = r.Name()
		}
		if got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
	if r := unfinished(past("pending"), "someone else"); r != nil {
		t.Errorf("of another process: %+v", r)
	}
	old := past("live tested") // from before releases had their holder's name
	old[0].Holder = ""
	if r := unfinished(old, "me"); r != nil {
		t.Errorf("of nobody: %+v", r)
	}
}

func another(list []release.Release) []release.Release {
	list[0].Holder = "someone else"
	return list
}

func TestRecoverNeedsToKnowWhose(t *testing.T) {
	t.Parallel()
	clock := release.Clock{Now: time.Now, Sleep: nil}
	for _, target := range []Target{{}, {Deps: Deps{Clock: clock}}} {
		if back, err := target.Recover(t.Context(), ""); err == nil || fault.KindOf(err) != fault.Undetermined {
			t.Errorf("%+v, %v", back, err)
		}
	}
}

func object(kind, name string) kubernetes.Object {
	o := kubernetes.Object{Object: map[string]any{"apiVersion": "v1", "kind": kind}}
	o.SetNamespace("shop")
	o.SetName(name)
	return o
}

// The cap is for what the manifests lost, not for what a strategy makes and removes with each deploy.
func TestCheckPrune(t *testing.T) {
	t.Parallel()
	set := []kubernetes.Object{object("ConfigMap", "a"), object("ConfigMap", "b")}
	refs := func(names ...string) (list []kubernetes.Ref) {
		for _, name := range names {
			o := object("ConfigMap", name)
			list = append(list, kubernetes.RefOf(&o))
		}
		return list
	}
	d := &deploy{Target: Target{Inputs: Inputs{PruneMax: 1}}}
	if err := d.checkPrune(set, refs("a-blue", "b-blue", "a-canary", "gone")); err != nil {
		t.Error(err)
	}
	err := d.checkPrune(set, refs("a-blue", "gone", "gone-blue"))
	if fault.KindOf(err) != fault.Failed || !strings.Contains(err.Error(), "2 objects") {
		t.Errorf("%v", err)
	}
}

// A failed step is named in front, and stays what it is.
func TestWithin(t *testing.T) {
	t.Parallel()
	inner := errors.New("why")
	failed := &fault.Error{Kind: fault.Failed, What: "503", Detail: []string{"a"}, Next: []string{"b"}, Err: inner}
	err := within(fmt.Errorf("asked: %w", failed), "canary 10%")
	if got := strings.Join(fault.Lines(err), "|"); got != "canary 10%: 503|a|b" || fault.KindOf(err) != fault.Failed || !errors.Is(err, inner) {
		t.Errorf("%q, %v", got, fault.KindOf(err))
	}
	if err := within(inner, "canary 10%"); err.Error() != "canary 10%: why" || fault.KindOf(err) != fault.Undetermined {
		t.Error(err)
	}
}

func TestEnding(t *testing.T) {
	t.Parallel()
	if got := ending(target.Restored{Summary: "nothing is live"}, nil); got != "nothing is live" {
		t.Error(got)
	}
	if got := ending(target.Restored{Summary: "back on 1"}, fault.Failedf("no pod").WithDetail("more")); got != "putting the old version back failed: no pod" {
		t.Error(got)
	}
}

// Without what it needs to know, nothing is asked of a cluster.
func TestNothingIsDeployedInTheDark(t *testing.T) {
	t.Parallel()
	full := Target{Inputs: Inputs{Service: "shop", Namespace: "shop", Holder: release.Holder{ID: "me"}, Wait: time.Second, Digest: "sha256:0", Commit: "c", Set: []kubernetes.Object{object("ConfigMap", "a")}}}
	out, err := full.Deploy(t.Context(), nil)
	if err == nil || fault.KindOf(err) != fault.Undetermined || out.Evidence.Changed {
		t.Errorf("%+v, %v", out, err)
	}
	if _, err := full.Plan(t.Context()); err == nil || fault.KindOf(err) != fault.Undetermined {
		t.Error(err)
	}
	if _, _, err := full.Return(t.Context(), ""); err == nil || fault.KindOf(err) != fault.Undetermined {
		t.Error(err)
	}
}

// What is taken over and no release has brought is kept for a rollback.
func TestFound(t *testing.T) {
	t.Parallel()
	change := func(action, kind, service string) apply.Change {
		o := &kubernetes.Object{Object: map[string]any{"apiVersion": "v1", "kind": kind}}
		o.SetName(kind)
		if service != "" {
			o.SetLabels(map[string]string{kubernetes.LabelService: service})
		}
		return apply.Change{Ref: kubernetes.RefOf(o), Action: action, Before: o}
	}
	created := change(apply.Create, "Ingress", "")
	created.Before = nil
	changes := []apply.Change{created, change(apply.Adopt, "Deployment", ""), change(apply.Update, "ConfigMap", ""), change(apply.Update, "Service", "shop"),
		change(apply.Recreate, "Job", ""), change(apply.Unchanged, "Secret", "shop"), change(apply.Adopt, "PersistentVolumeClaim", "")}
	brought := func(state string, returned bool, kinds ...string) []release.Release {
		list := past(state)
		list[0].Returned = returned
		for _, kind := range kinds {
			list[0].Objects = append(list[0].Objects, kubernetes.Ref{APIVersion: "v1", Kind: kind, Name: kind})
		}
		return list
	}
	for name, tc := range map[string]struct {
		list []release.Release
		want string
	}{
		"after a release":                      {brought("live", false, "Service", "Secret"), "[Deployment ConfigMap Job]"},
		"after one that failed":                {brought("failed", false, "Service", "Secret"), "[Deployment ConfigMap Job]"},
		"after one that has given all back":    {brought("failed", true, "Service", "Secret"), "[Deployment ConfigMap Service Job Secret]"},
		"where a part of the history is lost":  {brought("live", false, "Service"), "[Deployment ConfigMap Job Secret]"},
		"where the history is lost, unchanged": {nil, "[Deployment ConfigMap Service Job Secret]"},
	} {
		d := &deploy{list: tc.list, Target: Target{Inputs: Inputs{Service: "shop"}}}
		var got []string
		for _, o := range d.found(changes) {
			got = append(got, o.GetName())
		}
		if fmt.Sprint(got) != tc.want {
			t.Errorf("%s: %v, want %s", name, got, tc.want)
		}
	}
}

// Configuration that changes under pods that stay is said: they may go on with the old one.
func TestUnrestarted(t *testing.T) {
	t.Parallel()
	object := func(text string) *kubernetes.Object {
		o := &kubernetes.Object{}
		if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
			t.Fatal(err)
		}
		return o
	}
	change := func(action, before, after string) apply.Change {
		c := apply.Change{Action: action, After: object(after), Ref: kubernetes.RefOf(object(after))}
		if before != "" {
			c.Before = object(before)
		}
		return c
	}
	config := func(value string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: shop}\ndata: {A: " + value + "}"
	}
	deployment := func(version string) string {
		return "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: shop, namespace: shop}\nspec: {template: {metadata: {labels: {version: " + version +
			"}}, spec: {containers: [{name: app, envFrom: [{configMapRef: {name: settings}}]}]}}}"
	}
	note := "the pods of Deployment shop were not restarted for the new ConfigMap settings"
	for name, c := range map[string]struct {
		changes []apply.Change
		want    string
	}{
		"it changes and they stay": {[]apply.Change{change(apply.Update, config("a"), config("b")), change(apply.Unchanged, deployment("v1"), deployment("v1"))}, note},
		"both change":              {[]apply.Change{change(apply.Update, config("a"), config("b")), change(apply.Update, deployment("v1"), deployment("v2"))}, ""},
		"only its labels change":   {[]apply.Change{change(apply.Update, config("a"), config("a")), change(apply.Unchanged, deployment("v1"), deployment("v1"))}, ""},
		"it is new":                {[]apply.Change{change(apply.Create, "", config("b")), change(apply.Unchanged, deployment("v1"), deployment("v1"))}, ""},
		"they are new":             {[]apply.Change{change(apply.Update, config("a"), config("b")), change(apply.Create, "", deployment("v1"))}, ""},
		"they are made anew":       {[]apply.Change{change(apply.Update, config("a"), config("b")), change(apply.Recreate, deployment("v1"), deployment("v1"))}, ""},
		"one that they do not use": {[]apply.Change{change(apply.Update, strings.Replace(config("a"), "settings", "others", 1), strings.Replace(config("b"), "settings", "others", 1)), change(apply.Unchanged, deployment("v1"), deployment("v1"))}, ""},
		"one of another namespace": {[]apply.Change{change(apply.Update, strings.Replace(config("a"), "shop", "x", 1), strings.Replace(config("b"), "shop", "x", 1)), change(apply.Unchanged, deployment("v1"), deployment("v1"))}, ""},
	} {
		if got := strings.Join(unrestarted(c.changes), "\n"); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// Two teams may well give their services the same name, and then both live in the namespace of that name.
func TestAServiceOfAnotherRepositoryIsLeftAlone(t *testing.T) {
	t.Parallel()
	own := release.Source{Repository: "acme/shop", ID: "7"}
	for name, c := range map[string]struct {
		source  release.Source
		refused bool
	}{
		"the same":                    {own, false},
		"renamed":                     {release.Source{Repository: "acme/old-shop", ID: "7"}, false},
		"in other letters":            {release.Source{Repository: "Acme/Shop"}, false},
		"moved by a person":           {release.Source{Repository: "acme/shop", ID: "3"}, false},
		"of a release before this":    {release.Source{}, false},
		"from a folder":               {release.Source{Repository: "shop"}, false},
		"another one":                 {release.Source{Repository: "other/shop", ID: "8"}, true},
		"another one without numbers": {release.Source{Repository: "other/shop"}, true},
	} {
		list := past("failed", "live") // what a failed release applied may be there, too
		list[0].Source = c.source
		err := Target{Inputs: Inputs{Service: "shop", Environment: "staging", Namespace: "shop", Source: own}}.alone(list)
		if c.refused != (fault.KindOf(err) == fault.BadInput && err != nil) || !c.refused && err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A namespace that another environment of idp.yaml has is refused; one that an environment had which is gone is not.
func TestAlone(t *testing.T) {
	t.Parallel()
	of := func(environment string) []release.Release {
		list := past("failed", "live")
		list[0].Environment, list[1].Environment = "production", environment
		return list
	}
	for name, c := range map[string]struct {
		list    []release.Release
		refused bool
	}{
		"nothing is live": {past("failed"), false}, "its own": {of("production"), false}, "another one's": {of("staging"), true},
		"one that is gone": {of("old"), false},
	} {
		err := Target{Inputs: Inputs{Environment: "production", Namespace: "shop", Neighbours: []string{"staging"}}}.alone(c.list)
		if c.refused != (fault.KindOf(err) == fault.BadInput && err != nil) || !c.refused && err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
