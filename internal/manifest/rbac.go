package manifest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/org/idp/internal/kubernetes"
)

// Access is whose deploys are let in where.
type Access struct {
	Service   string
	Namespace string
	Posts     bool             // the smoke test POSTs through the API server
	After     string           // namespace whose releases are asked about, since its environment comes first; empty: none
	Inventory []kubernetes.Ref // objects of earlier releases, which a deploy may have to remove
	Unknown   string           // why Inventory is not known; empty where it is
}

// RBAC is what a cluster administrator applies for the deploys of a service: a ServiceAccount and the least roles for the
// set, as YAML. The account can do nothing in other namespaces than those of the set, and of what lives in no namespace it
// reaches the objects of the set alone. What the set itself grants is among the roles, since nobody can grant more than he
// has.
func RBAC(set Set, a Access) ([]byte, error) {
	r := roles{Access: a, defined: map[schema.GroupKind]string{}, scopes: scopes(set),
		spaces: map[string]*granted{a.Namespace: {}}, guessed: map[string]bool{}}
	for _, d := range definitions(set) {
		r.defined[d.kind] = d.plural
	}
	for _, o := range set.Objects {
		r.object(kubernetes.Ref{APIVersion: o.APIVersion, Kind: o.Kind, Namespace: o.Namespace, Name: o.Name})
		r.grants(o)
	}
	for _, ref := range a.Inventory {
		r.object(ref)
	}
	return r.yaml()
}

// verbs that a kind of the set needs: server-side apply is a patch that may create, what is many is listed, and what is no
// longer in the set is deleted.
var verbs = []string{"get", "list", "create", "patch", "delete"}

// many is of how many objects on a rollout lists a kind instead of getting each; rollout has the same number.
const many = 5

// roles is one rendering.
type roles struct {
	Access
	defined map[schema.GroupKind]string // plural names of kinds that the set defines
	scopes  map[schema.GroupKind]bool
	spaces  map[string]*granted // by namespace
	cluster granted
	guessed map[string]bool // resources whose plural name is a guess
}

// granted is what one role has.
type granted struct {
	kinds map[string][]string            // resources by group
	names map[string]map[string][]string // of objects, by group and resource: for what lives in no namespace
	more  []rbacv1.PolicyRule
}

func (r *roles) object(ref kubernetes.Ref) {
	kind := ref.GVK().GroupKind()
	resource := r.resource(kind)
	namespaced, known := r.scopes[kind]
	if known && !namespaced || ref.Namespace == "" {
		r.cluster.object(kind.Group, resource, ref.Name)
		return
	}
	r.space(ref.Namespace).kind(kind.Group, resource)
}

func (r *roles) space(namespace string) *granted {
	if r.spaces[namespace] == nil {
		r.spaces[namespace] = &granted{}
	}
	return r.spaces[namespace]
}

func (g *granted) kind(group, resource string) {
	if g.kinds == nil {
		g.kinds = map[string][]string{}
	}
	if !slices.Contains(g.kinds[group], resource) {
		g.kinds[group] = append(g.kinds[group], resource)
	}
}

func (g *granted) object(group, resource, name string) {
	if g.names == nil {
		g.names = map[string]map[string][]string{}
	}
	if g.names[group] == nil {
		g.names[group] = map[string][]string{}
	}
	if names := g.names[group][resource]; !slices.Contains(names, name) {
		g.names[group][resource] = append(names, name)
	}
}

// resource is the plural name of a kind. That of a custom resource which the set does not define is a guess.
func (r *roles) resource(kind schema.GroupKind) string {
	if plural := r.defined[kind]; plural != "" {
		return plural
	}
	name := plural(kind.Kind)
	if _, known := r.scopes[kind]; !known {
		r.guessed[name+"."+kind.Group] = true
	}
	return name
}

func plural(kind string) string {
	name := strings.ToLower(kind)
	end := name[max(0, len(name)-2):]
	switch {
	case name == "endpoints":
		return name
	case strings.HasSuffix(name, "s"), strings.HasSuffix(name, "x"), end == "ch", end == "sh":
		return name + "es"
	case strings.HasSuffix(name, "y") && !strings.ContainsAny(end[:1], "aeiou"):
		return strings.TrimSuffix(name, "y") + "ies"
	}
	return name + "s"
}

// grants adds what a role or binding of the set gives others.
func (r *roles) grants(o Object) {
	switch typed := o.Typed.(type) {
	case *rbacv1.Role:
		space := r.space(o.Namespace)
		space.more = append(space.more, typed.Rules...)
	case *rbacv1.ClusterRole:
		r.cluster.more = append(r.cluster.more, typed.Rules...)
	case *rbacv1.RoleBinding:
		space := r.space(o.Namespace)
		space.more = append(space.more, bind(typed.RoleRef))
	case *rbacv1.ClusterRoleBinding:
		r.cluster.more = append(r.cluster.more, bind(typed.RoleRef))
	}
}

func bind(ref rbacv1.RoleRef) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{rbacv1.GroupName}, Resources: []string{plural(ref.Kind)}, ResourceNames: []string{ref.Name}, Verbs: []string{"bind"}}
}

func (g *granted) rules() (rules []rbacv1.PolicyRule) {
	for _, group := range slices.Sorted(maps.Keys(g.kinds)) {
		slices.Sort(g.kinds[group])
		rules = append(rules, rule(group, g.kinds[group], nil, verbs...))
	}
	for _, group := range slices.Sorted(maps.Keys(g.names)) {
		for _, resource := range slices.Sorted(maps.Keys(g.names[group])) {
			names := g.names[group][resource]
			slices.Sort(names)
			rules = append(rules, rule(group, []string{resource}, names, "get", "create", "patch", "delete"))
			if len(names) >= many {
				rules = append(rules, rule(group, []string{resource}, nil, "list"))
			}
		}
	}
	return append(rules, g.more...)
}

func rule(group string, resources, names []string, verbs ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: resources, ResourceNames: names, Verbs: verbs}
}

// keeping is what a deploy needs whatever it deploys: the lock, the releases, and what a failed rollout is explained with.
func (r *roles) keeping() []rbacv1.PolicyRule {
	lock := "idp." + r.Service
	proxy := []string{"get"}
	if r.Posts {
		proxy = append(proxy, "create")
	}
	return []rbacv1.PolicyRule{
		rule("coordination.k8s.io", []string{"leases"}, nil, "create"),
		rule("coordination.k8s.io", []string{"leases"}, []string{lock}, "get", "update"),
		// A role can name objects and no patterns, and a release is idp.NAME.vN.
		rule("", []string{"secrets"}, nil, "get", "list", "create", "update", "delete"),
		rule("", []string{"namespaces"}, []string{r.Namespace}, "get"),
		rule("", []string{"services/proxy"}, nil, proxy...),
	}
}

// watching is what a rollout is followed with, in each namespace that has a workload.
func watching(kinds map[string][]string) []rbacv1.PolicyRule {
	rules := []rbacv1.PolicyRule{
		rule("", []string{"events"}, nil, "list"),
		rule("", []string{"pods"}, nil, "get", "list"),
		rule("", []string{"pods/log"}, nil, "get"),
		rule("apps", []string{"controllerrevisions", "replicasets"}, nil, "list"),
		rule("discovery.k8s.io", []string{"endpointslices"}, nil, "list"),
	}
	if slices.Contains(kinds["apps"], "statefulsets") { // going back may have to delete the pod that it is stuck at
		rules[1].Verbs = append(rules[1].Verbs, "delete")
	}
	return rules
}

func (r *roles) yaml() ([]byte, error) {
	name := "idp-" + r.Service
	account := rbacv1.Subject{Kind: "ServiceAccount", Name: name, Namespace: r.Namespace}
	labels := map[string]string{"app.kubernetes.io/managed-by": "idp", "app.kubernetes.io/part-of": r.Service}
	meta := func(kind, name, namespace string) (metav1.TypeMeta, metav1.ObjectMeta) {
		group := rbacv1.SchemeGroupVersion.String()
		return metav1.TypeMeta{APIVersion: group, Kind: kind}, metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: labels}
	}
	list := []runtime.Object{accountOf(name, r.Namespace, labels)}
	grant := func(name, namespace string, rules []rbacv1.PolicyRule) {
		role, binding := &rbacv1.Role{Rules: rules}, &rbacv1.RoleBinding{Subjects: []rbacv1.Subject{account}}
		role.TypeMeta, role.ObjectMeta = meta("Role", name, namespace)
		binding.TypeMeta, binding.ObjectMeta = meta("RoleBinding", name, namespace)
		binding.RoleRef = rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name}
		list = append(list, role, binding)
	}
	for _, namespace := range slices.Sorted(maps.Keys(r.spaces)) {
		space := r.spaces[namespace]
		rules := append(space.rules(), watching(space.kinds)...)
		if namespace == r.Namespace {
			rules = append(r.keeping(), rules...)
		}
		grant(name, namespace, rules)
	}
	if r.After != "" && r.After != r.Namespace {
		grant(name+"-releases", r.After, []rbacv1.PolicyRule{rule("", []string{"secrets"}, nil, "list")})
	}
	if rules := r.cluster.rules(); len(rules) > 0 {
		name := name + "-" + r.Namespace
		role, binding := &rbacv1.ClusterRole{Rules: rules}, &rbacv1.ClusterRoleBinding{Subjects: []rbacv1.Subject{account}}
		role.TypeMeta, role.ObjectMeta = meta("ClusterRole", name, "")
		binding.TypeMeta, binding.ObjectMeta = meta("ClusterRoleBinding", name, "")
		binding.RoleRef = rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name}
		list = append(list, role, binding)
	}
	var out Set
	for _, typed := range list {
		o, err := object(typed)
		if err != nil {
			return nil, err
		}
		out.Objects = append(out.Objects, o)
	}
	data, err := out.YAML()
	return append([]byte(r.head()), data...), err
}

func accountOf(name, namespace string, labels map[string]string) *corev1.ServiceAccount {
	return &corev1.ServiceAccount{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: labels}}
}

// head says what to do with it.
func (r *roles) head() string {
	text := fmt.Sprintf("# What a deploy of %s to namespace %s may do, and no more. Apply it as a cluster administrator: kubectl apply -f FILE\n"+
		"# A token for the pipeline: kubectl create token idp-%s -n %s --duration 1h\n", r.Service, r.Namespace, r.Service, r.Namespace)
	if r.Unknown != "" {
		text += "# Without kinds that earlier releases had and this one has not: " + oneLine(errors.New(r.Unknown)) + "\n"
	}
	for _, name := range slices.Sorted(maps.Keys(r.guessed)) {
		text += "# The name of this custom resource is a guess; check it with kubectl api-resources: " + name + "\n"
	}
	return text
}
