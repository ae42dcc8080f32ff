package sarif

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// component that a reference names: the driver unless it names another (3.54).
func (r *run) component(ref *componentRef) (*component, error) {
	if ref == nil || ref.Name == "" && ref.GUID == "" && (ref.Index == nil || *ref.Index < 0) {
		return &r.Tool.Driver, nil
	}
	if i := ref.Index; i != nil && *i >= 0 {
		if *i >= len(r.Tool.Extensions) {
			return nil, fmt.Errorf("extension %d of %d", *i, len(r.Tool.Extensions))
		}
		return &r.Tool.Extensions[*i], nil
	}
	for _, c := range r.components() {
		if ref.GUID != "" && strings.EqualFold(c.GUID, ref.GUID) || ref.GUID == "" && c.Name == ref.Name {
			return c, nil
		}
	}
	return nil, errors.New("an extension that the tool does not have")
}

func (r *run) components() []*component {
	list := []*component{&r.Tool.Driver}
	for i := range r.Tool.Extensions {
		list = append(list, &r.Tool.Extensions[i])
	}
	return list
}

func rulesOf(c *component) []rule         { return c.Rules }
func notificationsOf(c *component) []rule { return c.Notifications }

// descriptor that a reference names by index, guid or id (3.52); nil where the file does not describe it.
func (r *run) descriptor(ref reference, of func(*component) []rule) (*rule, error) {
	c, err := r.component(ref.Component)
	if err != nil {
		return nil, err
	}
	list := of(c)
	if i := ref.Index; i != nil && *i >= 0 { // -1 is SARIF's way to say that there is none
		if *i >= len(list) {
			return nil, fmt.Errorf("rule %d of %d", *i, len(list))
		}
		return &list[*i], nil
	}
	if ref.GUID != "" {
		for i := range list {
			if strings.EqualFold(list[i].GUID, ref.GUID) {
				return &list[i], nil
			}
		}
		if ref.ID == "" {
			return nil, errors.New("a rule that the tool does not have")
		}
	}
	if ref.Component != nil {
		return named(list, ref.ID), nil
	}
	for _, c := range r.components() {
		if found := named(of(c), ref.ID); found != nil {
			return found, nil
		}
	}
	return nil, nil
}

// named is the rule of a name, or the one that it is a part of: CA1000/1 is of CA1000 (3.27.5).
func named(list []rule, id string) *rule {
	for id != "" {
		if i := slices.IndexFunc(list, func(r rule) bool { return r.ID == id }); i >= 0 {
			return &list[i]
		}
		id = id[:max(strings.LastIndexByte(id, '/'), 0)]
	}
	return nil
}

// rule finds the description of a result's rule, which may be of an extension, and its name.
func (r *run) rule(res result) (*rule, string, error) {
	var ref reference
	if res.Rule != nil {
		ref = *res.Rule
	}
	if i, j := res.RuleIndex, ref.Index; i != nil && *i >= 0 {
		if j != nil && *j >= 0 && *j != *i {
			return nil, res.RuleID, fmt.Errorf("rule %d and rule %d at once", *i, *j)
		}
		ref.Index = i
	}
	if res.RuleID != "" {
		ref.ID = res.RuleID
	}
	found, err := r.descriptor(ref, rulesOf)
	if err != nil || found == nil {
		return nil, ref.ID, err
	}
	switch {
	case ref.ID == "":
		ref.ID = found.ID
	// A wrong index would take the severity of another rule.
	case found.ID != ref.ID && !strings.HasPrefix(ref.ID, found.ID+"/"):
		return nil, ref.ID, fmt.Errorf("its rule is %.80q by name and %.80q by its reference", ref.ID, found.ID)
	}
	return found, ref.ID, nil
}

var levels = []string{"none", "note", "warning", "error"} // the gravest last

// level of a rule in the invocation of that number, as 3.27.10 says: an override, else the default, else a warning. Few tools say
// which invocation a result is of (the C# compiler does not). Then the gravest counts of all that it may be.
func (r *run) level(about *rule, id string, of func(*component) []rule, overrides func(invocation) []override, number *int) (string, error) {
	var overridden, possible []string
	for i, inv := range r.Invocations {
		for _, o := range overrides(inv) {
			found, err := r.descriptor(o.Descriptor, of)
			switch {
			case err != nil:
				return "", fmt.Errorf("invocations[%d] configures %w", i, err)
			case o.Configuration.Level == nil || found != about || found == nil && o.Descriptor.ID != id:
			case number != nil && *number == i:
				overridden = append(overridden, *o.Configuration.Level)
			case number == nil || *number < 0:
				possible = append(possible, *o.Configuration.Level)
			}
		}
	}
	if len(overridden) > 0 {
		return gravest(overridden)
	}
	for i := range r.Policies {
		if p := named(of(&r.Policies[i]), id); p != nil && p.Config.Level != nil {
			possible = append(possible, *p.Config.Level)
		}
	}
	if about != nil && about.Config.Level != nil {
		possible = append(possible, *about.Config.Level)
	} else {
		possible = append(possible, "warning")
	}
	return gravest(possible)
}

func gravest(list []string) (string, error) {
	most := 0
	for _, level := range list {
		i := slices.Index(levels, level)
		if i < 0 {
			return "", fmt.Errorf("level %.20q is not one of SARIF's", level)
		}
		most = max(most, i)
	}
	return levels[most], nil
}
