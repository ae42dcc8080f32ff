package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/org/idp/internal/catalog"
	"github.com/org/idp/internal/catalogfile"
	"github.com/org/idp/internal/record"
)

// What a generated catalogue is like beside its number of services.
const (
	perTeam   = 10 // services
	perSystem = 5
	perLog    = 20 // deliveries in a month
)

var environments = []string{"staging", "production"}

const entity = `apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: %[1]s
  description: Takes the money, number %[2]d of its kind.
  labels:
    idp/tier: "2"
  annotations:
    idp/slo-availability: "99.9"
    backstage.io/source-location: url:https://github.com/acme/%[1]s/
    github.com/project-slug: acme/%[1]s
  links:
    - url: https://wiki.example.com/%[1]s
      title: Runbook
      type: runbook
    - url: https://grafana.example.com/d/%[1]s
      title: Traffic
      type: dashboard
spec:
  type: service
  lifecycle: production
  owner: team-%[3]d
  system: system-%[4]d
  dependsOn:
    - component:%[5]s
`

// costs are as large as the rows of two containers.
var costs = strings.Repeat("0,USD,2026-11-01T00:00:00Z,2026-12-01T00:00:00Z,Usage,Estimate of requested CPU,6.922809,0.031611,219,Core-Hours\n", 5)

func serviceName(i int) string { return fmt.Sprintf("service-%05d", i) }

// generate writes a catalogue of n services whose last delivery was just now, without any problem in it.
func generate(dir string, n int, now time.Time) error {
	files := map[string]string{}
	idx := catalogfile.Index{Schema: catalogfile.IndexSchema, Services: map[string]catalogfile.Service{}}
	for i := range n {
		name := serviceName(i)
		files["catalog/"+name+".yaml"] = fmt.Sprintf(entity, name, i, i/perTeam, i/perSystem, serviceName((i+1)%n))
		s := catalogfile.Service{Name: name, Owner: fmt.Sprintf("team-%d", i/perTeam), Tier: 2, System: fmt.Sprintf("system-%d", i/perSystem),
			Repository: "acme/" + name, Entity: "catalog/" + name + ".yaml", Environments: map[string]catalogfile.Environment{}}
		for _, env := range environments {
			log, last := deliveries(s, env, now)
			files["deliveries/"+name+"/"+env+"/"+now.Format("2006-01")+".jsonl"] = log
			files["cost/"+name+"/"+env+"/"+now.Format("2006-01")+".csv"] = costs
			s.Environments[env] = catalogfile.Environment{Latest: last, Passed: &last}
		}
		state, err := json.MarshalIndent(catalogfile.State{Schema: catalogfile.StateSchema, Service: s}, "", "  ")
		if err != nil {
			return err
		}
		files[catalogfile.StateFile(name)] = string(state) + "\n"
		s.Environments = nil
		idx.Services[name] = s
		if i%perTeam == 0 {
			files[fmt.Sprintf("catalog/groups/team-%d.yaml", i/perTeam)] = fmt.Sprintf(
				"apiVersion: backstage.io/v1alpha1\nkind: Group\nmetadata:\n  name: team-%d\nspec:\n  type: team\n  children: []\n", i/perTeam)
		}
		if i%perSystem == 0 {
			files[fmt.Sprintf("catalog/systems/system-%d.yaml", i/perSystem)] = fmt.Sprintf(
				"apiVersion: backstage.io/v1alpha1\nkind: System\nmetadata:\n  name: system-%d\nspec:\n  owner: team-%d\n", i/perSystem, i/perTeam)
		}
	}
	data, err := json.MarshalIndent(idx, "", "  ")
	if err != nil {
		return err
	}
	files[catalogfile.IndexFile] = string(data) + "\n"
	texts, _, err := catalog.Texts()
	if err != nil {
		return err
	}
	for path, text := range texts {
		files[path] = string(text)
	}
	for path, text := range files {
		full := filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil { // #nosec G301 -- a catalogue for a measurement
			return err
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil { // #nosec G306 -- as above
			return err
		}
	}
	return nil
}

// deliveries is a month of one environment, and its last delivery.
func deliveries(s catalogfile.Service, env string, now time.Time) (string, catalogfile.Run) {
	var b strings.Builder
	var last catalogfile.Run
	for d := 1; d <= perLog; d++ {
		hash := fmt.Sprintf("%032x%08x", d, len(s.Name)*d)
		l := catalogfile.Line{Schema: catalogfile.LineSchema, ID: fmt.Sprintf("%s-%s-%d", s.Name, env, d), Delivery: d, Time: now.UTC().Add(time.Duration(d-perLog) * time.Hour),
			Service: s.Name, Owner: s.Owner, Repository: s.Repository, Commit: hash, Image: "ghcr.io/" + s.Repository, Digest: "sha256:" + hash + hash[:24],
			Environment: env, Outcome: record.Passed}
		for _, stage := range []string{"sast", "secrets", "build", "cost", "sign", "verify", "deploy", "smoke"} {
			l.Stages = append(l.Stages, catalogfile.Stage{Name: stage, Outcome: record.Passed, DurationMS: 1234})
		}
		data, err := json.Marshal(l)
		if err != nil {
			panic(err) // it is made of texts and numbers
		}
		b.Write(append(data, '\n'))
		last = catalogfile.Run{Delivery: d, ID: l.ID, Time: l.Time, Commit: l.Commit, Digest: l.Digest, Outcome: l.Outcome}
	}
	return b.String(), last
}
