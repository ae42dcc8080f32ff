package manifest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/service"
)

// Load gives the objects of a service that service.In has resolved for the environment, from where idp.yaml says: generated,
// a folder of manifests, a kustomization or a Helm chart. All of them carry the label idp/service and, where they can live
// in a namespace and name none, that of the environment. Every container of the image's repository runs opts.Image, where
// that is known; manifests in which none does, or that ask for another digest of it, are refused. Nothing is fetched, and
// nothing outside of the service's folder is read.
func Load(ctx context.Context, svc *service.Service, opts Options) (Set, error) {
	set, err := read(ctx, svc, opts)
	if err != nil {
		return Set{}, err
	}
	return settle(set, svc, opts)
}

// Generated tells whether the manifests of a service come from idp.yaml itself.
func Generated(svc *service.Service) bool {
	return svc.Deploy.Manifests == "" && svc.Deploy.Kustomize == "" && svc.Deploy.Helm == nil
}

func read(ctx context.Context, svc *service.Service, opts Options) (Set, error) {
	if Generated(svc) {
		return Render(svc, opts)
	}
	t, err := openTree(ctx, opts.Dir)
	if err != nil {
		return Set{}, err
	}
	defer t.close()
	var set Set
	switch d := svc.Deploy; {
	case d.Manifests != "":
		set, err = t.manifests(path.Clean(d.Manifests))
	case d.Kustomize != "":
		set, err = t.kustomize(path.Clean(d.Kustomize))
	default:
		set, err = t.helm(*d.Helm, svc, opts)
	}
	switch {
	case ctx.Err() != nil:
		return Set{}, context.Cause(ctx)
	case err != nil:
		return Set{}, err
	}
	set.Files = t.names()
	return set, nil
}

// ReadDir reads the Kubernetes manifests of a folder and those below it: every .yaml, .yml and .json file, in the order
// of their names, strictly. All that is wrong is reported together, as bad input. A link may not lead out of the folder.
func ReadDir(dir string) (Set, error) {
	t, err := openTree(context.Background(), dir)
	if err != nil {
		return Set{}, err
	}
	defer t.close()
	return t.manifests(".")
}

func (t *tree) manifests(dir string) (Set, error) {
	var set Set
	var problems []string
	if exists, isDir := t.is(dir); exists && !isDir {
		return Set{}, fault.BadInputf("%s is not a folder of manifests", dir)
	}
	err := t.walk(dir, func(name string, _ fs.DirEntry) error {
		if !slices.Contains([]string{".yaml", ".yml", ".json"}, path.Ext(name)) {
			return nil
		}
		data, err := t.read(name)
		if err != nil {
			return err
		}
		objects, err := decode(name, data)
		if err != nil {
			problems = append(problems, strings.Split(err.Error(), "\n")...)
		}
		set.Objects = append(set.Objects, objects...)
		return nil
	})
	var known *fault.Error
	switch {
	case errors.As(err, &known):
		return Set{}, known
	case errors.Is(err, fs.ErrNotExist):
		return Set{}, fault.BadInputf("there is no folder of manifests %s in the service's folder", dir)
	case err != nil:
		return Set{}, fault.BadInputf("cannot read the manifests in %s: %w", dir, err)
	}
	return checked(set, problems, "the manifests in "+dir)
}

// checked gives the set, or all that is wrong with what it was read from.
func checked(set Set, problems []string, where string) (Set, error) {
	problems = append(problems, duplicates(set)...)
	switch {
	case len(problems) == 1:
		return Set{}, fault.BadInputf("%s", problems[0])
	case len(problems) > 1:
		return Set{}, fault.BadInputf("%d problems in %s", len(problems), where).WithDetail(problems...)
	case len(set.Objects) == 0:
		return Set{}, fault.BadInputf("there are no Kubernetes objects in %s", where).
			WithNext("Put some there, or take deploy out of idp.yaml to have them generated.")
	}
	return set, nil
}

// decoded reads what a tool rendered; where is how errors name it.
func decoded(data []byte, where string) (Set, error) {
	if len(data) > maxBytes || expanded(data) > maxBytes {
		return Set{}, fault.BadInputf("%s renders to more than %d MiB", where, maxBytes>>20)
	}
	objects, err := decode(where, data)
	var problems []string
	if err != nil {
		problems = strings.Split(err.Error(), "\n")
	}
	return checked(Set{Objects: objects}, problems, where)
}

// decode reads the documents of one file; errors name the file and the number of the document.
func decode(name string, data []byte) ([]Object, error) {
	var objects []Object
	var problems []error
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for number := 1; ; number++ {
		doc, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return objects, errors.Join(problems...)
		}
		if err != nil {
			return objects, errors.Join(append(problems, fmt.Errorf("%s, document %d: %w", name, number, err))...)
		}
		found, err := decodeDocument(doc)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s, document %d: %s", name, number, oneLine(err)))
		}
		for _, o := range found {
			o.File = name
			objects = append(objects, o)
		}
	}
}

func decodeDocument(doc []byte) ([]Object, error) {
	var m map[string]any
	if err := yaml.UnmarshalStrict(doc, &m); err != nil {
		return nil, err
	}
	if len(m) == 0 {
		return nil, nil // comments only
	}
	if m["kind"] == "List" && m["apiVersion"] == "v1" {
		return decodeList(m)
	}
	var head struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Metadata   struct {
			Name      string `json:"name"`
			Namespace string `json:"namespace"`
		} `json:"metadata"`
	}
	if err := yaml.Unmarshal(doc, &head); err != nil {
		return nil, err
	}
	switch {
	case head.Kind == "" || head.APIVersion == "":
		return nil, errors.New("not a Kubernetes object: apiVersion or kind is missing")
	case head.Kind == "Kustomization" && strings.HasPrefix(head.APIVersion, "kustomize.config.k8s.io/"):
		return nil, errors.New("a kustomization is not a manifest; name its folder in idp.yaml: deploy: {kustomize: FOLDER}")
	case head.Metadata.Name == "":
		return nil, fmt.Errorf("%s without metadata.name", head.Kind)
	}
	o := Object{APIVersion: head.APIVersion, Kind: head.Kind, Name: head.Metadata.Name, Namespace: head.Metadata.Namespace, Fields: m}
	typed, err := scheme().New(schema.FromAPIVersionAndKind(o.APIVersion, o.Kind))
	if runtime.IsNotRegisteredError(err) {
		return []Object{o}, nil // a custom resource: only its own controller knows its fields
	}
	if err == nil {
		err = yaml.UnmarshalStrict(doc, typed)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o, err)
	}
	o.Typed = typed
	return []Object{o}, nil
}

func decodeList(list map[string]any) ([]Object, error) {
	items, _ := list["items"].([]any)
	var objects []Object
	for i, item := range items {
		doc, err := yaml.Marshal(item)
		if err != nil {
			return objects, err
		}
		found, err := decodeDocument(doc)
		if err != nil {
			return objects, fmt.Errorf("item %d: %w", i+1, err)
		}
		objects = append(objects, found...)
	}
	return objects, nil
}

// duplicates finds objects that two documents define: the one applied last would win unseen.
func duplicates(set Set) (problems []string) {
	first := map[string]string{}
	for _, o := range set.Objects {
		group := schema.FromAPIVersionAndKind(o.APIVersion, o.Kind).Group
		key := strings.Join([]string{group, o.Kind, o.Namespace, o.Name}, "/")
		if file, ok := first[key]; ok {
			problems = append(problems, fmt.Sprintf("%s: %s is in %s already", o.File, o, file))
			continue
		}
		first[key] = o.File
	}
	return problems
}

// object describes a typed object.
func object(typed runtime.Object) (Object, error) {
	m, err := fields(typed)
	if err != nil {
		return Object{}, err
	}
	access, err := meta.Accessor(typed)
	if err != nil {
		return Object{}, err
	}
	apiVersion, kind := typed.GetObjectKind().GroupVersionKind().ToAPIVersionAndKind()
	return Object{APIVersion: apiVersion, Kind: kind, Namespace: access.GetNamespace(), Name: access.GetName(), Typed: typed, Fields: m}, nil
}

// scheme knows the kinds whose fields are checked. Its registrations cannot fail: they only add Go types to a map.
func scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, autoscalingv1.AddToScheme, autoscalingv2.AddToScheme, batchv1.AddToScheme, corev1.AddToScheme,
		networkingv1.AddToScheme, policyv1.AddToScheme, rbacv1.AddToScheme,
	} {
		if err := add(s); err != nil {
			panic(err)
		}
	}
	return s
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
