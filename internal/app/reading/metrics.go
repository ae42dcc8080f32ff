package reading

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
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

// window is the days that are counted; the last one whole.
func (in MetricsInputs) window(now time.Time) (from, to time.Time, err error) {
	last := now.UTC().Truncate(24 * time.Hour)
	if in.To != "" {
		if last, err = time.Parse(time.DateOnly, in.To); err != nil {
			return from, to, fault.BadInputf("input to: %q is no day", in.To).WithNext("Give it as in 2026-11-30.")
		}
	}
	from = last.AddDate(0, 0, -89)
	if in.From != "" {
		if from, err = time.Parse(time.DateOnly, in.From); err != nil {
			return from, to, fault.BadInputf("input from: %q is no day", in.From).WithNext("Give it as in 2026-09-01.")
		}
	}
	if from.After(last) {
		return from, to, fault.BadInputf("the window ends on %s, before it begins on %s", last.Format(time.DateOnly), from.Format(time.DateOnly))
	}
	return from, last.AddDate(0, 0, 1), nil
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
	r, err := dora.Compute(ctx, log.catalogue, dora.Options{Environment: in.Environment, From: log.from, To: log.to})
	if err != nil {
		return err
	}
	return printReport(w.Stdout, r, in.JSON)
}

// windowed are the inputs of a command that reads a log of deliveries over a window of time.
type windowed interface {
	Declare(*action.Set)
	window(now time.Time) (from, to time.Time, err error)
}

// deliveryLog is a catalogue's log, and the window of it that is asked for.
type deliveryLog struct {
	catalogue fs.FS
	from, to  time.Time
}

// openLog takes the inputs from the command line, and opens the catalogue in the folder that they name.
func openLog(w cli.World, command string, args []string, in windowed, folder *string) (log deliveryLog, err error) {
	var set action.Set
	in.Declare(&set)
	if err := cli.Fill(w, command, &set, args); err != nil {
		return log, err
	}
	if log.from, log.to, err = in.window(w.Now()); err != nil {
		return log, err
	}
	log.catalogue, err = openCatalogue(cmp.Or(*folder, "."))
	return log, err
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
func openCatalogue(dir string) (fs.FS, error) {
	catalogue := os.DirFS(dir)
	_, err := catalogfile.ReadIndex(catalogue)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.BadInputf("folder %s holds no catalogue: there is no %s in it", dir, catalogfile.IndexFile).
			WithNext("Check the catalogue out, and name its folder: --catalog FOLDER")
	}
	if err != nil {
		return nil, fault.Undeterminedf("the catalogue in %s cannot be read: %w", dir, err)
	}
	return catalogue, nil
}
