package app

import (
	"context"

	"github.com/org/idp/internal/app/cli"
	"github.com/org/idp/internal/app/delivery"
	"github.com/org/idp/internal/app/reading"
)

// runAction runs one action from its command line to its exit code.
func runAction(ctx context.Context, w cli.World, a delivery.Action, args []string) int {
	if a.Alone != nil && reading.NamesImage(args) {
		return cli.Exit(w, a.Alone(ctx, w, args))
	}
	set, opts, task := a.Prepare()
	err := cli.Fill(w, a.Name, set, args)
	if cli.IsHelp(err) {
		printActionHelp(w.Stdout, a)
		return cli.Passed
	}
	if err != nil {
		return cli.Exit(w, err)
	}
	defer outliveReader()()
	d := delivery.New(w, *opts, stageOrder())
	if err := delivery.MakeOut(d.Options.Out); err != nil {
		return cli.Exit(w, err)
	}
	if err := d.Remember(a, delivery.StateBegun, "true"); err != nil {
		return cli.Exit(w, err)
	}
	defer d.Local.Close()
	err = d.Open(ctx, a, task)
	if p, ok := delivery.As[delivery.Printing](task); ok && err == nil && p.Prints() {
		return cli.Exit(w, p.Print(ctx, d))
	}
	if err == nil {
		err = promise(d, a, task)
	}
	if err == nil {
		err = d.Announcing(ctx, a)
	}
	if p, ok := task.(*pathWork); ok && err == nil {
		d.Record.Plan = p.changesNothing(d.Event) // the check is named by it
	}
	if err == nil {
		d.Begin(a.Name)
		if d.Announcer != nil {
			d.Announcer.Begin(ctx, d.Snapshot())
		}
		err = task.Run(ctx, d)
	} else {
		err = d.Reject(ctx, delivery.JoinProblems(err, d.Identify(ctx, a, task)))
	}
	shownErr := d.Announce(ctx)
	code := max(d.End(a, task, err), cli.Code(shownErr))
	if err := d.Remember(a, delivery.StateFinished, "true"); err != nil {
		return max(cli.Exit(w, err), code)
	}
	return code
}
