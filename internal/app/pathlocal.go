package app

import (
	"context"

	"github.com/org/idp/internal/app/delivery"
	"github.com/org/idp/internal/localtarget"
	"github.com/org/idp/internal/record"
)

// leave ends what the path started, unless the environment was live before or is to stay so.
func (p *pathWork) leave(ctx context.Context, d *delivery.Delivery) error {
	if p.Target() != delivery.TargetLocal {
		return nil
	}
	if p.keep || p.ranBefore {
		var err error
		d.Live, err = p.localLive(d)
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), delivery.CleanupTime)
	defer cancel()
	t := p.deploy.Local(d, record.StageDeploy)
	_, err := localtarget.Stop(ctx, t.Inputs, t.Deps)
	return err
}

// running tells whether the environment is live before the path changes it.
func (p *pathWork) running(d *delivery.Delivery) (bool, error) {
	url, err := p.localLive(d)
	return url != "", err
}

func (p *pathWork) localLive(d *delivery.Delivery) (string, error) {
	t := p.deploy.Local(d, record.StageDeploy)
	return localtarget.Live(t.Inputs, t.Deps)
}
