package catalog

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/gitstore"
	"github.com/org/idp/internal/proc"
	"github.com/org/idp/internal/record"
)

// refused runs the stage and checks that it fails in the given way, and that the catalogue stays as it is.
func refused(t *testing.T, in Inputs, kind fault.Kind, want string) string {
	t.Helper()
	before, _ := exec.Command("git", "--git-dir", in.URL, "for-each-ref").Output()
	out, err := Run(t.Context(), in, testDeps())
	if err == nil {
		t.Fatalf("it passed: %+v", out)
	}
	text := strings.Join(fault.Lines(err), "\n")
	if fault.KindOf(err) != kind || !strings.Contains(text, want) {
		t.Errorf("kind %d, want %d with %q:\n%s", fault.KindOf(err), kind, want, text)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("the headline has more than one line: %s", err)
	}
	after, _ := exec.Command("git", "--git-dir", in.URL, "for-each-ref").Output()
	if string(before) != string(after) || out.Evidence.Changed {
		t.Errorf("the catalogue changed: %s → %s", before, after)
	}
	return text
}

func TestHostileCatalogue(t *testing.T) {
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "outside.yaml")
	if err := os.WriteFile(outside, []byte("mine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, files := range map[string]map[string]string{
		"entity is a link":      {"catalog/checkout.yaml": "-> " + outside},
		"folder is a link":      {"catalog": "-> " + filepath.Dir(outside)},
		"deliveries is a link":  {"deliveries": "-> /tmp"},
		"environment is a link": {"deliveries/checkout/staging": "-> /tmp"},
		"log is a link":         {"deliveries/checkout/staging/2026-01.jsonl": "-> " + outside},
		"entity is a folder":    {"catalog/checkout.yaml/x": "y"},
		"index is binary":       {"index.json": "\x00\x01\x02"},
		"index of another form": {"index.json": `{"schema":"idp.catalog/v2","services":{}}`},
		"index without more":    {"index.json": `{"schema":"idp.catalog/v1"}`},
		"service is a file":     {"deliveries/checkout": "x"},
		"service of two":        {"index.json": `{"schema":"idp.catalog/v1","services":{"checkout":{"repository":"rival/checkout"}}}`},
		"state is not JSON":     {"deliveries/checkout/state.json": "oops\n"},
		"state of another":      {"deliveries/checkout/state.json": `{"schema":"idp.service/v1","name":"cart"}`},
		"state of a rival":      {"deliveries/checkout/state.json": `{"schema":"idp.service/v1","name":"checkout","repository":"rival/checkout"}`},
		"state is a link":       {"deliveries/checkout/state.json": "-> " + outside},
		"entity is not YAML":    {"catalog/checkout.yaml": "<<<<<<< HEAD\n"},
		"log is not JSON":       {"deliveries/checkout/staging/2026-01.jsonl": "oops\n"},
		"log of another form":   {"deliveries/checkout/staging/2026-01.jsonl": "{}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := inputs(t, bare(t))
			edit(t, in.URL, files)
			refused(t, in, fault.BadInput, "in the catalogue")
			if data, err := os.ReadFile(outside); err != nil || string(data) != "mine\n" {
				t.Errorf("a file outside of the catalogue was touched: %s %v", data, err)
			}
		})
	}
}

// Two services of one repository that have one name would be one in the catalogue; one that was moved is the same.
func TestServiceInTwoFolders(t *testing.T) {
	t.Parallel()
	in := inputs(t, bare(t))
	in.Record.Source.Path = "services/old"
	mustRun(t, in)
	in.Record = delivered(t, in.Service, "101", strings.Repeat("b", 40), "sha256:"+strings.Repeat("b", 64), record.Passed)
	in.Record.Source.Path = "services/new"
	files := map[string]string{"services/old": "checkout"}
	in.Named = func(_ context.Context, folder string) (string, error) { return files[folder], nil }
	refused(t, in, fault.BadInput, "the catalogue has a service checkout already, from services/old/idp.yaml of this repository")
	files["services/old"] = "cart"
	mustRun(t, in)
	in.Record.Source.Repository = "Acme/Checkout" // what a host takes for the same one
	mustRun(t, in)
	if s := readIndex(t, in.URL).Services["checkout"]; s.Path != "services/new" || s.Repository != "Acme/Checkout" {
		t.Errorf("%+v", s)
	}
	in.Record.Source.Path = "services/third"
	in.Named = func(context.Context, string) (string, error) { return "", fault.Undeterminedf("git is gone") }
	if _, err := Run(t.Context(), in, testDeps()); err == nil || !strings.Contains(err.Error(), "git is gone") {
		t.Errorf("not determined: %v", err)
	}
}

// Links elsewhere in the catalogue are no matter of ours, but the copy must not follow or plant them.
func TestCopyHoldsNoLinks(t *testing.T) {
	t.Parallel()
	in := inputs(t, bare(t))
	in.Checkout = filepath.Join(t.TempDir(), "catalog")
	edit(t, in.URL, map[string]string{"docs/link": "-> /etc/passwd", ".gitattributes": "* filter=evil\n"})
	mustRun(t, in)
	if info, err := os.Lstat(filepath.Join(in.Checkout, "docs/link")); err != nil || !info.Mode().IsRegular() {
		t.Errorf("%v %v", info, err)
	}
}

func TestFolderInTheWayOfTheCopy(t *testing.T) {
	t.Parallel()
	in := inputs(t, bare(t))
	in.Checkout = t.TempDir()
	mine := filepath.Join(in.Checkout, "mine.txt")
	if err := os.WriteFile(mine, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	refused(t, in, fault.BadInput, "it is not a copy of a catalogue")
	if _, err := os.Stat(mine); err != nil {
		t.Error(err)
	}
}

func TestNamesThatWouldLeadOutOfTheCatalogue(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", ".", "..", "../x", "a/b", `a\b`, "-x", "A", "x\n", ".git"} {
		in := inputs(t, bare(t))
		in.Service.Name, in.Record.Service.Name = bad, bad
		refused(t, in, fault.BadInput, "service name")
		in = inputs(t, in.URL)
		in.Record.Environment = bad
		refused(t, in, fault.BadInput, "environment")
	}
}

func TestAddressesThatAreNotAllowed(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "ext::sh -c touch% /tmp/x", "fd::3", "-uexec=x", "https://a b/\x01", "gopher://x/y",
		"https://user:s3cr3t%zz@example.com/x"} {
		text := refused(t, inputs(t, bad), fault.BadInput, "input catalog")
		if strings.Contains(text, "s3cr3t") {
			t.Error(text)
		}
	}
	for _, bad := range []string{"a..b", "-x", "a b", "x.lock", "refs~1"} {
		in := inputs(t, bare(t))
		in.Branch = bad
		refused(t, in, fault.BadInput, "catalog-branch")
	}
}

func TestCatalogueThatCannotBeHad(t *testing.T) {
	t.Parallel()
	readonly := bare(t)
	hook(t, readonly, "pre-receive", "echo 'this catalogue is read-only' >&2\nexit 1\n")
	for name, test := range map[string]struct{ url, want string }{
		"unreachable": {"http://ann:s3cr3t@127.0.0.1:1/catalog.git", "cannot be reached"},
		"no folder":   {filepath.Join(t.TempDir(), "none"), "cannot be reached"},
		"not git":     {t.TempDir(), "cannot be reached"},
		"read-only":   {readonly, "this catalogue is read-only"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := refused(t, inputs(t, test.url), fault.Undetermined, test.want)
			if strings.Contains(text, "s3cr3t") || !strings.Contains(text, "Check the URL in the input catalog") {
				t.Error(text)
			}
		})
	}
}

// gitServer is git's own HTTP server over a folder of repositories, for one user and password. Accidents, where there are any,
// stand before it.
func gitServer(t *testing.T, root, user, password string, accidents ...func(http.Handler) http.Handler) *httptest.Server {
	t.Helper()
	path, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	backend := &cgi.Handler{Path: filepath.Join(strings.TrimSpace(string(path)), "git-http-backend"),
		Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=" + user}}
	var git http.Handler = backend
	for _, with := range accidents {
		git = with(git)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, ok := r.BasicAuth(); !ok || u != user || p != password {
			w.Header().Set("WWW-Authenticate", `Basic realm="catalogue"`)
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		git.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv
}

func TestCredentialsReachTheServerAndNobodyElse(t *testing.T) {
	t.Parallel()
	dir := bare(t)
	const secret = "s3cr3t/t0ken"
	srv := gitServer(t, filepath.Dir(dir), "ann", secret)
	shown := srv.URL + "/catalog.git"
	in := inputs(t, strings.Replace(shown, "http://", "http://ann:s3cr3t%2Ft0ken@", 1))
	in.Checkout = filepath.Join(t.TempDir(), "catalog")
	deps := testDeps()
	var said strings.Builder
	deps.Progress = func(what string) { said.WriteString(what + "\n") }
	// The update hook sees everything that git does: the files of the clone and every running command line.
	hook(t, dir, "pre-receive", fmt.Sprintf("grep -rlE 's3cr3t|YW5uOnMzY3IzdC90MGtlbg' '%s' >> seen; "+
		"cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -oE 'ann:s3c[r]3t|Authorization[:] Basic' >> seen; exit 0\n",
		filepath.Dir(in.Checkout)))
	out, err := Run(t.Context(), in, deps)
	if err != nil {
		t.Fatal(strings.Join(fault.Lines(err), "\n"))
	}
	if out.Evidence.URL != shown {
		t.Errorf("the evidence has the URL %s", out.Evidence.URL)
	}
	if seen, err := os.ReadFile(filepath.Join(dir, "seen")); err != nil || len(seen) > 0 {
		t.Errorf("the hook saw credentials: %s %v", seen, err)
	}
	if text := fmt.Sprintf("%+v%s", out, said.String()); strings.Contains(text, "s3cr3t") {
		t.Error(text)
	}
	in.URL = strings.Replace(shown, "http://", "http://ann:wr0ngpass@", 1)
	_, err = Run(t.Context(), in, deps)
	text := strings.Join(fault.Lines(err), "\n")
	if fault.KindOf(err) != fault.Undetermined || strings.Contains(text, "wr0ngpass") || !strings.Contains(text, shown) {
		t.Error(text)
	}
	var e *proc.Error
	if errors.As(err, &e) && strings.Contains(e.Stderr, "wr0ngpass") {
		t.Error(e.Stderr)
	}
}

// Not parallel: a hook of some other repository, such as pre-push, runs us with these set.
func TestCallersEnvironmentDoesNotRedirect(t *testing.T) {
	victim := t.TempDir()
	git(t, victim, "init", "--quiet")
	t.Setenv("GIT_DIR", filepath.Join(victim, ".git"))
	t.Setenv("GIT_WORK_TREE", victim)
	t.Setenv("GIT_INDEX_FILE", filepath.Join(victim, ".git", "index"))
	t.Setenv("GIT_OBJECT_DIRECTORY", filepath.Join(victim, ".git", "objects"))
	t.Setenv("GIT_CONFIG_PARAMETERS", "'core.hooksPath'='/nowhere'")
	t.Setenv("GIT_TRACE", "2")
	t.Setenv("GIT_AUTHOR_NAME", "somebody else")
	dir := filepath.Join(t.TempDir(), "catalog.git")
	if err := gitstore.CreateBare(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	in := inputs(t, dir)
	in.Checkout = filepath.Join(t.TempDir(), "catalog")
	mustRun(t, in)
	for _, v := range []string{"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_CONFIG_PARAMETERS", "GIT_TRACE"} {
		if err := os.Unsetenv(v); err != nil {
			t.Fatal(err)
		}
	}
	if who := git(t, dir, "log", "--format=%an <%ae> %cn", "main"); who != "idp <idp@localhost> idp\n" {
		t.Errorf("the commit is by %s", who)
	}
	if objects := git(t, victim, "count-objects"); !strings.HasPrefix(objects, "0 objects") {
		t.Errorf("the other repository got %s", objects)
	}
	entries, err := os.ReadDir(victim)
	if err != nil || len(entries) != 1 {
		t.Errorf("the other working tree got %v %v", entries, err)
	}
}

func TestCreateBare(t *testing.T) {
	t.Parallel()
	dir := bare(t)
	in := inputs(t, dir)
	mustRun(t, in)
	if err := gitstore.CreateBare(t.Context(), dir); err != nil || commits(t, dir) != 1 {
		t.Errorf("a catalogue that is there has to stay: %v", err)
	}
	taken := t.TempDir()
	if err := os.WriteFile(filepath.Join(taken, "x"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := gitstore.CreateBare(t.Context(), taken); fault.KindOf(err) != fault.BadInput || err == nil {
		t.Errorf("%v", err)
	}
}
