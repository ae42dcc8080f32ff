package manifest

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

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
