package entityfile

// Keys in the entity that are ours alone. The others that are set are Backstage's own.
const (
	tierLabel     = "idp/tier"
	sloAnnotation = "idp/slo-availability" // percent
)

// Component is what a delivery says in the service's entity.
type Component struct {
	Name, Description, Owner, System, Lifecycle string
	SystemBefore                                string // at the delivery before
	Tier, SLO                                   string // empty when idp.yaml has none
	Source, Slug                                string // empty when the code's host is not known
	Links                                       []Link
	Names                                       []List
}

// Link is an address in the entity.
type Link struct{ URL, Title, Kind string }
