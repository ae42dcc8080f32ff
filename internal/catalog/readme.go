package catalog

const readme = `# Service catalogue

Written by the delivery of each service; people and portals read it.

* ` + "`catalog/SERVICE.yaml`" + `: the service as a Backstage Component, and the APIs and resources that it has. Edit what you like: a
  delivery only sets the name, the description, owner, system and lifecycle, the label idp/tier, the annotations
  idp/slo-availability, backstage.io/source-location and github.com/project-slug, the links to runbook and dashboards, and
  what the service provides, consumes and depends on; of an API or resource its description, type, owner, system, lifecycle
  and definition. All of these come from the service's idp.yaml, so change them there.
* ` + "`catalog/groups/TEAM.yaml`, `catalog/systems/SYSTEM.yaml`" + `: teams and systems that services name and no other file had.
  They are yours: put them where you like, in any file below catalog/, but only once.
* ` + "`apis/SERVICE/API.*`" + `: the definition of each API as it was delivered last.
* ` + "`index.json`" + `: every service with its owner, its repository and its entity.
* ` + "`deliveries/SERVICE/state.json`" + `: the same of one service, what deliveries wrote of it, and per environment the latest delivery and
  the latest that passed.
* ` + "`deliveries/SERVICE/ENVIRONMENT/YEAR-MONTH.jsonl`" + `: every delivery, one JSON object a line, oldest first, failed
  ones and rollbacks by hand too.

Point Backstage at it with a location of type url that ends in /catalog/**/*.yaml.
`
