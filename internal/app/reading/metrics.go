package reading

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/org/idp/internal/action"
	"github.com/org/idp/internal/app/cli"
	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/dora"
	"github.com/org/idp/internal/fault"
)

// MetricsInputs are those of `idp metrics`.
type MetricsInputs struct {
	Catalog, Environment, From, To string
	JSON                           bool
}

func (in *MetricsInputs) Declare(s *action.Set) {
	s.String(&in.Catalog, action.Input{Name: "catalog", Example: "catalog", Usage: "Folder with the catalogue, checked out. Default: this one."})
	s.String(&in.Environment, action.Input{Name: "environment", Default: "production", Example: "production", Usage: "Where a deployment counts."})
	s.String(&in.From, action.Input{Name: "from", Example: "2026-09-01", Usage: "First day, in UTC. Default: 90 days before the last."})
	s.String(&in.To, action.Input{Name: "to", Example: "2026-11-30", Usage: "Last day, in UTC. Default: today."})
	s.Bool(&in.JSON, action.Input{Name: "json", Usage: "Print JSON: idp schema metrics says its form."})
}

// window is the days that are counted; the last one whole, and none after today.
func (in MetricsInputs) window(now time.Time) (w window, err error) {
	today := now.UTC().Truncate(24 * time.Hour)
	last := today
	if in.To != "" {
		if last, err = time.Parse(time.DateOnly, in.To); err != nil {
			return w, fault.BadInputf("input to: %q is no day", in.To).WithNext("Give it as in 2026-11-30.")
		}
	}
	asked := last
	if last.After(today) {
		w.note = fmt.Sprintf("%s has not come yet: counted until today, %s.", last.Format(time.DateOnly), today.Format(time.DateOnly))
		last = today
	}
	w.from = last.AddDate(0, 0, -89)
	if in.From != "" {
		if w.from, err = time.Parse(time.DateOnly, in.From); err != nil {
			return w, fault.BadInputf("input from: %q is no day", in.From).WithNext("Give it as in 2026-09-01.")
		}
	}
	if w.from.After(asked) {
		return w, fault.BadInputf("the window ends on %s, before it begins on %s", asked.Format(time.DateOnly), w.from.Format(time.DateOnly))
	}
	if w.from.After(today) {
		return w, fault.BadInputf("the window begins on %s, and today is %s: nothing is known of it yet", w.from.Format(time.DateOnly), today.Format(time.DateOnly))
	}
	w.to = last.AddDate(0, 0, 1)
	return w, nil
}

// Metrics prints DORA's metrics and the adoption.
func Metrics(ctx context.Context, w cli.World, args []string) error {
	var in MetricsInputs
	log, err := openLog(w, "metrics", args, &in, &in.Catalog)
	if err != nil {
		return err
	}
	if err := deliveredTo(log.catalogue, in.Environment); err != nil {
		return err
	}
	r, err := dora.Compute(ctx, log.catalogue, dora.Options{Environment: in.Environment, From: log.from, To: log.to, Systems: log.index.Systems()})
	if err != nil {
		return err
	}
	return printReport(w.Stdout, r, in.JSON)
}

// windowed are the inputs of a command that reads a log of deliveries over a window of time.
type windowed interface {
	Declare(*action.Set)
	window(now time.Time) (window, error)
}

// window is what is counted: from is within, to is not.
type window struct {
	from, to time.Time
	note     string // for people, where it is another one than they asked for
}

// deliveryLog is a catalogue's log, and the window of it that is asked for.
type deliveryLog struct {
	catalogue fs.FS
	index     *catalogfile.Index
	window
}

// openLog takes the inputs from the command line, and opens the catalogue in the folder that they name.
func openLog(w cli.World, command string, args []string, in windowed, folder *string) (log deliveryLog, err error) {
	var set action.Set
	in.Declare(&set)
	if err := cli.Fill(w, command, &set, args); err != nil {
		return log, err
	}
	if log.window, err = in.window(w.Now()); err != nil {
		return log, err
	}
	if log.catalogue, log.index, err = openCatalogue(cmp.Or(*folder, ".")); err != nil {
		return log, err
	}
	if log.note != "" {
		_, _ = fmt.Fprintln(w.Stderr, "idp "+command+": "+log.note)
	}
	return log, nil
}

// deliveredTo refuses an environment that nothing was ever delivered to, where others were: of a name that is mistyped everything
// would be said to be zero.
func deliveredTo(catalogue fs.FS, environment string) error {
	names, err := catalogfile.Environments(catalogue)
	if err != nil {
		return fault.Undeterminedf("the catalogue cannot be read: %w", err)
	}
	if len(names) == 0 || slices.Contains(names, environment) {
		return nil
	}
	return fault.BadInputf("nothing was ever delivered to %q", environment).WithNext("Say where a deployment counts: --environment NAME, one of " + strings.Join(names, ", ") + ".")
}

// printReport prints it for a person, or as JSON.
func printReport(w io.Writer, r interface{ Text(io.Writer) error }, asJSON bool) error {
	if !asJSON {
		return r.Text(w)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// openCatalogue refuses a folder that is no catalogue: of an empty one everything would be said to be zero.
func openCatalogue(dir string) (fs.FS, *catalogfile.Index, error) {
	catalogue := os.DirFS(dir)
	index, err := catalogfile.ReadIndex(catalogue)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fault.BadInputf("folder %s holds no catalogue: there is no %s in it", dir, catalogfile.IndexFile).
			WithNext("Check the catalogue out, and name its folder: --catalog FOLDER")
	}
	if err != nil {
		return nil, nil, fault.Undeterminedf("the catalogue in %s cannot be read: %w", dir, err)
	}
	return catalogue, index, nil
}
