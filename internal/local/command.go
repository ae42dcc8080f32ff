package local

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// imagePath is where a container runtime looks when the image sets no PATH.
const imagePath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// ErrEntrypoint is an image whose entrypoint cannot be run from inside its own files.
var ErrEntrypoint = errors.New("the image's entrypoint cannot be run")

func (r *Release) rootfs() string { return filepath.Join(r.dir, "rootfs") }

// Runnable tells whether the entrypoint is there to be run; the error wraps ErrEntrypoint.
func (r *Release) Runnable() error {
	_, err := r.command()
	return err
}

// command gives the process of the image's entrypoint, without its environment.
func (r *Release) command() (*exec.Cmd, error) {
	if len(r.Entrypoint) == 0 || r.Entrypoint[0] == "" {
		return nil, fmt.Errorf("%w: it has none", ErrEntrypoint)
	}
	program, err := r.lookPath(r.Entrypoint[0])
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrEntrypoint, r.Entrypoint[0], err)
	}
	workDir, err := r.inside(r.WorkDir)
	if err != nil {
		return nil, fmt.Errorf("%w: working directory %s: %w", ErrEntrypoint, r.WorkDir, err)
	}
	return &exec.Cmd{Path: program, Args: r.Entrypoint, Dir: workDir}, nil
}

// lookPath finds the program as a container runtime would: an absolute path, a path relative to the working directory,
// or a name on the image's PATH.
func (r *Release) lookPath(name string) (string, error) {
	switch {
	case strings.HasPrefix(name, "/"):
		return r.executable(name)
	case strings.Contains(name, "/"):
		// Not path.Join: it would fold the ".." that leads out before anyone could refuse it.
		return r.executable(r.WorkDir + "/" + name)
	}
	for _, dir := range r.searchPath() {
		program, err := r.executable(dir + "/" + name)
		if err == nil || errors.Is(err, errOutside) {
			return program, err
		}
	}
	return "", errors.New("no such program on the image's PATH")
}

func (r *Release) executable(name string) (string, error) {
	program, err := r.inside(name)
	if err != nil {
		return "", err
	}
	info, err := os.Stat(program)
	if err != nil {
		return "", errors.New("no such file in the image")
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
		return "", errors.New("it is not an executable file")
	}
	return program, nil
}

var errOutside = errors.New("it leads out of the image")

// inside resolves a path of the image to where it really is on this machine. A path that leads out of the image, by ".."
// or by a symbolic link, is refused: there is no chroot, so an absolute link would reach a file of this machine.
func (r *Release) inside(name string) (string, error) {
	if depth(name) < 0 {
		return "", errOutside
	}
	root, err := filepath.EvalSymlinks(r.rootfs())
	if err != nil {
		return "", err
	}
	real, err := filepath.EvalSymlinks(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		return "", errors.New("no such file in the image")
	}
	if real != root && !strings.HasPrefix(real, root+string(filepath.Separator)) {
		return "", errOutside
	}
	return real, nil
}

// depth is negative as soon as a path climbs above where it began.
func depth(name string) int {
	d := 0
	for part := range strings.SplitSeq(name, "/") {
		switch part {
		case "", ".":
		case "..":
			if d--; d < 0 {
				return d
			}
		default:
			d++
		}
	}
	return d
}

func (r *Release) searchPath() []string {
	dirs := imagePath
	for _, kv := range r.ImageEnv {
		if value, ok := strings.CutPrefix(kv, "PATH="); ok {
			dirs = value
		}
	}
	return strings.Split(dirs, ":")
}

// environment is all that the service gets: the image's variables, the service's over them, and last those that only the
// target can know. Nothing of the caller's environment is in it, since CI keeps its secrets there.
func (r *Release) environment(port int) []string {
	env := map[string]string{}
	for _, kv := range r.ImageEnv {
		if name, value, ok := strings.Cut(kv, "="); ok {
			env[name] = value
		}
	}
	maps.Copy(env, r.Env)
	var dirs []string
	for _, d := range r.searchPath() {
		dirs = append(dirs, filepath.Join(r.rootfs(), filepath.FromSlash(path.Clean("/"+d))))
	}
	maps.Copy(env, map[string]string{
		"PORT":         strconv.Itoa(port),
		"IDP_REVISION": r.Commit,
		"IDP_DIGEST":   r.Digest,
		"PATH":         strings.Join(dirs, string(filepath.ListSeparator)),
		"HOME":         filepath.Join(r.dir, "home"),
		"TMPDIR":       filepath.Join(r.dir, "tmp"),
	})
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}
