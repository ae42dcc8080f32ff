package delivery

import (
	"path/filepath"

	"github.com/org/idp/internal/policy"
	"github.com/org/idp/internal/record"
	"github.com/org/idp/internal/service"
)

// Image is one of anyone, outside of any service, and what it has to be built from as far as that is asked.
type Image struct {
	Name       string // without registry, tag and digest
	Repository string // OWNER/NAME
	Commit     string
}

// Foreign is implemented by work that can be about an image of anyone. It gives nil where no image is named.
type Foreign interface{ Foreign() *Image }

// foreign is the image of anyone that the work is about: there is no service, and a policy is named, without which the one that
// is built in would be asked about a service that was forgotten to be checked out.
func (d *Delivery) foreign(task Work) *Image {
	f, ok := As[Foreign](task)
	if !ok || d.Options.Policy == "" || record.Exists(filepath.Join(d.Dir(), service.File)) {
		return nil
	}
	return f.Foreign()
}

// openForeign stands on the policy alone: the repository of this run is where the image is used, and says nothing of where it is from.
// The record is one of its own, since that of an earlier step is of another delivery.
func (d *Delivery) openForeign(image Image) error {
	if d.Options.Record == "" {
		d.RecordPath = d.Out("verify.json")
	}
	pol, err := policy.Load(d.Options.Policy)
	if err != nil {
		return err
	}
	d.Policy, d.Rules = pol, pol.Defaults
	if d.Options.Environment != "" {
		if d.Rules, err = pol.For(d.Options.Environment); err != nil {
			return err
		}
	}
	run, err := d.Runner.Run()
	if err != nil {
		return err
	}
	d.Service = &service.Service{Name: image.Name}
	d.Record = record.New(record.Service{Name: image.Name}, record.Source{Repository: image.Repository, Commit: image.Commit}, run, d.Options.Environment)
	return nil
}
