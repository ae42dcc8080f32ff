package apply

import (
	"fmt"
	"maps"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/org/idp/internal/kubernetes"
)

const (
	diffBytes  = 48 << 10 // of a whole diff: a comment of GitHub holds 64 KiB
	diffLines  = 60       // of one object
	valueRunes = 160      // of one value: an image with its digest fits
)

// Diff tells people what changes do: first how many of which kind, then each object with the fields that differ. What the
// API server only filled in is left out. Content of Secrets, and what is named like a secret elsewhere, is masked. It is
// bounded, and safe in a terminal and in a Markdown fence: no line can end the fence, and nothing in it can move the
// cursor. As a fence of the language "diff" it is coloured.
func Diff(changes []Change) string {
	var b strings.Builder
	b.WriteString(Summary(changes) + "\n")
	for i, c := range changes {
		if c.Action == Unchanged && c.Refused == "" {
			continue
		}
		text := strings.Join(describe(c), "\n") + "\n"
		if b.Len()+len(text) > diffBytes {
			fmt.Fprintf(&b, "\nThe diff is cut here. Not shown: %s\n", Summary(changes[i:]))
			break
		}
		b.WriteString("\n" + text)
	}
	return b.String()
}

// Summary counts what a plan would do, such as "2 to create, 1 unchanged".
func Summary(changes []Change) string { return count(changes, 0) }

// Done counts what was done, such as "2 created, 1 unchanged".
func Done(changes []Change) string { return count(changes, 1) }

func count(changes []Change, tense int) string {
	counts := map[string]int{}
	for _, c := range changes {
		if c.Refused != "" {
			counts["refused"]++
		} else {
			counts[c.Action]++
		}
	}
	var parts []string
	for _, p := range []struct {
		action string
		words  [2]string // before and after
	}{
		{Create, [2]string{"to create", "created"}}, {Update, [2]string{"to update", "updated"}}, {Adopt, [2]string{"to adopt", "adopted"}},
		{Recreate, [2]string{"to delete and create anew", "deleted and created anew"}}, {Pruned, [2]string{"to delete", "deleted"}},
		{"refused", [2]string{"refused", "refused"}}, {Unchanged, [2]string{"unchanged", "unchanged"}},
	} {
		if n := counts[p.action]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, p.words[tense]))
		}
	}
	if len(parts) == 0 {
		return [2]string{"nothing to do", "nothing done"}[tense]
	}
	return strings.Join(parts, ", ")
}

// describe is one object: a headline, what has to be known about it, and its fields.
func describe(c Change) []string {
	lines := []string{headline(c)}
	add := func(format string, args ...any) {
		lines = append(lines, "!   "+safe(fmt.Sprintf(format, args...), 4*valueRunes))
	}
	if c.Refused != "" {
		add("refused: %s", strings.TrimPrefix(strings.TrimPrefix(c.Refused, c.Ref.String()), ": "))
	}
	for _, f := range c.Conflicts {
		if c.Refused == "" {
			add("%s is taken over from %s", field(f), f.Manager)
		} else {
			add("%s is set by %s", field(f), f.Manager)
		}
	}
	if len(c.Adopted) > 0 {
		add("taken over from %s: what it set and the manifest does not is removed", strings.Join(c.Adopted, ", "))
	}
	if c.Unchecked != "" {
		add("not checked by the cluster: %s", c.Unchecked)
	}
	body := fieldLines(c)
	if n := len(body) - diffLines; n > 0 {
		body = append(body[:diffLines], fmt.Sprintf("    … %d more lines", n))
	}
	return append(lines, body...)
}

var listKey = regexp.MustCompile(`\[[a-zA-Z]+="([^"\]]*)"\]`)

// field is the path of a conflict as Diff writes paths: containers[app] and not containers[name="app"].
func field(c kubernetes.Conflict) string {
	return strings.TrimPrefix(listKey.ReplaceAllString(c.Field, "[$1]"), ".")
}

func headline(c Change) string {
	where := ""
	if c.Ref.Namespace != "" {
		where = " in " + c.Ref.Namespace
	}
	words := map[string]string{Create: "create", Update: "update", Adopt: "adopt", Recreate: "delete and create anew", Pruned: "delete", Unchanged: "unchanged"}[c.Action]
	if words == "" {
		words = "refused"
	}
	return safe(fmt.Sprintf("%s%s: %s", c.Ref, where, words), 2*valueRunes)
}

// fieldLines are the fields of one change.
func fieldLines(c Change) []string {
	before, after, given := shown(c.Before), shown(c.After), shown(c.given)
	switch {
	case c.Action == Pruned:
		return nil // all of it goes
	case c.After == nil && (c.Before == nil || c.given == nil):
		return nil // nothing is known of it
	case c.Before != nil && c.given != nil && (c.After == nil || c.Unchecked != ""):
		before, after = common(before, given), given // without what the API server fills in, since it has not done so
	case c.Before == nil:
		if given == nil {
			given = after
		}
		w := writer{secret: isSecret(c)}
		w.tree("+", "", given)
		return w.lines
	}
	w := writer{secret: isSecret(c), given: c.Action == Recreate}
	w.compare("", before, after, given, given != nil)
	return w.lines
}

func isSecret(c Change) bool { return c.Ref.Kind == "Secret" }

// bookkeeping are annotations that nobody writes. The first one is the whole object again, with what is secret in it.
var bookkeeping = []string{"kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/revision", "deprecated.daemonset.template.generation"}

// shown is the part of an object that people write.
func shown(o *kubernetes.Object) any {
	if o == nil {
		return nil
	}
	o = bare(o)
	if text, ok := o.Object["stringData"].(map[string]any); ok && o.GetKind() == "Secret" { // the API server moves it to data
		data, _ := o.Object["data"].(map[string]any)
		if data == nil {
			data = map[string]any{}
		}
		maps.Copy(data, text)
		o.Object["data"] = data
		delete(o.Object, "stringData")
	}
	for _, name := range []string{"apiVersion", "kind"} {
		delete(o.Object, name)
	}
	meta, _ := o.Object["metadata"].(map[string]any)
	delete(meta, "name")
	delete(meta, "namespace")
	for _, name := range bookkeeping {
		unstructured.RemoveNestedField(o.Object, "metadata", "annotations", name)
	}
	if annotations, ok := meta["annotations"].(map[string]any); ok && len(annotations) == 0 {
		delete(meta, "annotations")
	}
	if len(meta) == 0 {
		delete(o.Object, "metadata")
	}
	return o.Object
}
