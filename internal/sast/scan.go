package sast

import (
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/tools/go/packages"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/fault"
	"github.com/org/idp/internal/finding"
	"github.com/org/idp/internal/gosource"
)

// scanned is how far a scan came.
type scanned struct {
	expected, scanned int // packages
	files             int
	left              []string
	findings          []finding.Finding
}

// scanEach scans the code for one platform after the other, as each of them has files and constants of its own. What it
// gives is the sum; a package counts once for each platform. It ends with the first platform that was not scanned whole.
func scanEach(ctx context.Context, dir, platform string, progress action.Progress, k kit) (scanned, error) {
	platforms := action.Platforms(platform)
	if len(platforms) == 1 {
		return scan(ctx, dir, platforms[0], progress, k)
	}
	var all scanned
	for i, p := range platforms {
		one, err := scan(ctx, dir, p, func(what string) { progress(p + ": " + what) }, k)
		if err != nil && fault.KindOf(err) == fault.Skipped {
			if i == 0 {
				return one, err // what is skipped for one platform is for all: a file that constraints leave out is no reason to skip
			}
			err = fault.Undeterminedf("there is no Go code for platform %s, and there is for another", p)
		}
		all.join(one, p)
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// join adds the scan for another platform.
func (s *scanned) join(o scanned, platform string) {
	s.expected, s.scanned, s.files = s.expected+o.expected, s.scanned+o.scanned, s.files+o.files
	for _, l := range o.left {
		if strings.HasPrefix(l, leftBuild) {
			l = platform + ": " + l // what one platform leaves out another may have
		}
		if !slices.Contains(s.left, l) {
			s.left = append(s.left, l)
		}
	}
	type place struct {
		rule, file, fingerprint string
		line, column            int
	}
	known := map[place]bool{}
	at := func(f finding.Finding) place { return place{f.Rule, f.File, f.Fingerprint, f.Line, f.Column} }
	for _, f := range s.findings {
		known[at(f)] = true
	}
	for _, f := range o.findings {
		if !known[at(f)] {
			s.findings = append(s.findings, f)
		}
	}
}

// scan lists, loads and checks. What it gives is filled as far as it came, also beside an error.
func scan(ctx context.Context, dir, platform string, progress action.Progress, k kit) (scanned, error) {
	var out scanned
	progress("listing packages")
	s, err := take(ctx, dir, platform)
	out.expected, out.left = len(s.packages), s.left
	if err != nil {
		return out, err
	}
	if err := newerGo(s); err != nil {
		return out, err
	}
	if err := pinGoVersion(s.goVersion()); err != nil {
		s.gaps = append(s.gaps, err.Error())
	}
	progress("loading " + finding.Plural(out.expected, "package"))
	results, errs, err := checkAll(ctx, s, progress, k)
	b := builder{root: s.root}
	gaps := s.gaps
	for _, r := range results {
		out.files += r.files
		b.add(r.issues)
		errs = append(errs, r.errs...)
		gaps = append(gaps, r.gaps...)
		if len(r.gaps) == 0 {
			out.scanned++
		}
	}
	out.findings = b.finish()
	gaps = append(gaps, b.gaps...)
	if err != nil {
		return out, err
	}
	if err := tooNew(s.tool, errs); err != nil {
		return out, err
	}
	return out, verdict(out, compilerLines(s.root, errs), gaps)
}

// checkAll type-checks and checks the packages side by side. It gives the results that it has when the context ends, or when
// gosec does not come to an end, in the order of the import paths, and the errors in packages that they import.
func checkAll(ctx context.Context, s survey, progress action.Progress, k kit) ([]checked, []packages.Error, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	loader := gosource.New(ctx, s.list, s.sizes, guards())
	done := make(chan checked, len(s.packages)) // holds everything, so that what outlives the context blocks nobody
	work := crew{patience: k.patience}
	for _, p := range s.packages {
		go func() {
			_ = loader.Load(p, func(pkg *packages.Package) { // the context's, seen below
				w := &watch{ctx: ctx, path: p.ImportPath}
				work.begin(w)
				r := k.check(w, pkg, p)
				work.end(w)
				done <- r
			})
		}()
	}
	look := time.NewTicker(tick)
	defer look.Stop()
	var memory thrift
	memory.begin()
	defer memory.end()
	var results []checked
	for len(results) < len(s.packages) && ctx.Err() == nil {
		progress(fmt.Sprintf("%d of %s", len(results), finding.Plural(len(s.packages), "package")))
		select {
		case r := <-done:
			results = append(results, r)
		case <-look.C:
			memory.look()
			if err := work.lost(); err != nil {
				stop(err)
			}
		case <-ctx.Done():
		}
	}
	slices.SortFunc(results, func(a, b checked) int { return strings.Compare(a.path, b.path) })
	if ctx.Err() != nil {
		return results, nil, stopped(ctx).WithDetail(limited(s.unfinished(results, &work))...)
	}
	return results, loader.Errors(), nil
}

// unfinished names the packages that have no result, those first that are being worked on.
func (s survey) unfinished(results []checked, work *crew) []string {
	left := maps.Clone(s.packages)
	for _, r := range results {
		delete(left, r.path)
	}
	lines := work.busy(left)
	for _, path := range slices.Sorted(maps.Keys(left)) {
		lines = append(lines, path+": not scanned")
	}
	return lines
}

// tick is how often somebody looks whether gosec comes to an end.
const tick = 100 * time.Millisecond

// patience is how long a package may take that others do not, and how much memory. Go code that does not end cannot be
// ended from outside; but it can be said which it is, before the machine has no memory left to say it.
type patience struct {
	time   time.Duration
	memory uint64        // bytes by which what is in use grows
	calm   time.Duration // growth counts only after that time
}

var standardPatience = patience{time: 2 * time.Minute, memory: 1 << 30, calm: 5 * time.Second}

// crew knows what is being worked on.
type crew struct {
	patience patience
	mu       sync.Mutex
	at       []*watch
}

func (c *crew) begin(w *watch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.memory = inUse()
	c.at = append(c.at, w)
}

func (c *crew) end(w *watch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = slices.DeleteFunc(c.at, func(o *watch) bool { return o == w })
}

// lost is why nothing more is to be expected of a package; nil as long as there is hope. It counts the time by its calls.
func (c *crew) lost() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.at {
		w.taken += tick
		switch grown := max(inUse(), w.memory) - w.memory; {
		case w.taken >= c.patience.time:
			return fmt.Errorf("gosec has not come to an end with %s in %s", w.path, c.patience.time)
		case w.taken >= c.patience.calm && grown > c.patience.memory:
			return fmt.Errorf("gosec has not come to an end with %s, and takes %d MiB more memory than when it began", w.path, grown>>20)
		}
	}
	return nil
}

// busy says what is being done, and takes it out of what is left.
func (c *crew) busy(left map[string]gosource.Package) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var lines []string
	for _, w := range c.at {
		if _, ok := left[w.path]; ok {
			delete(left, w.path)
			lines = append(lines, fmt.Sprintf("%s: not finished after %s%s", w.path, w.taken, w.doing()))
		}
	}
	slices.Sort(lines)
	return lines
}

// usual is how much more memory than is in use the garbage collector lets come together, in percent, where nobody says
// otherwise in GOGC.
const usual = 100

// thrift lets it come half as often, which takes a quarter less time, until so much is in use that memory matters more.
type thrift struct{ eased bool }

func (t *thrift) begin() {
	if before := debug.SetGCPercent(2 * usual); before != usual {
		debug.SetGCPercent(before) // somebody has chosen
		return
	}
	t.eased = true
}

func (t *thrift) look() {
	const much = 100 << 20
	if t.eased && inUse() > much {
		t.end()
	}
}

func (t *thrift) end() {
	if t.eased {
		t.eased = false
		debug.SetGCPercent(usual)
	}
}

// inUse is the memory that was in use after the last garbage collection, in bytes.
func inUse() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return sample[0].Value.Uint64()
}

const notAPass = "A scan that did not see everything is not a pass."

// verdict is nil only when everything was scanned.
func verdict(s scanned, compile, gaps []string) error {
	switch {
	case len(compile) > 0:
		return fault.Undeterminedf("the module does not compile: %s", compile[0]).
			WithDetail(limited(slices.Concat(compile[1:], gaps))...).
			WithDetail(notAPass).
			WithNext("See what the compiler says: go build ./...")
	case s.scanned != s.expected || s.expected == 0:
		return fault.Undeterminedf("only %d of %s could be scanned", s.scanned, finding.Plural(s.expected, "package")).
			WithDetail(limited(gaps)...).
			WithDetail(notAPass).
			WithNext("Compare with what go sees: go build ./... && go vet ./...")
	case len(gaps) > 0:
		return fault.Undeterminedf("%s", gaps[0]).
			WithDetail(limited(gaps[1:])...).
			WithDetail(notAPass)
	}
	return nil
}

// limited keeps a list short enough to read.
func limited(lines []string) []string {
	const most = 20
	if len(lines) <= most {
		return lines
	}
	return append(slices.Clone(lines[:most]), fmt.Sprintf("and %d more", len(lines)-most))
}
