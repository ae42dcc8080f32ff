package sarif

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
)

// What is read of SARIF 2.1.0 (OASIS, sarif-v2.1.0-os). A field that is not here changes no decision.

type document struct {
	Version string            `json:"version"`
	Runs    []run             `json:"runs"`
	Inline  []json.RawMessage `json:"inlineExternalProperties"`
}

type run struct {
	Tool struct {
		Driver     component   `json:"driver"`
		Extensions []component `json:"extensions"`
	} `json:"tool"`
	Policies  []component `json:"policies"`
	Results   *[]result   `json:"results"`
	Artifacts []artifact  `json:"artifacts"`
	// Bases are what uriBaseId stands for: mostly the folder that the scanner ran in.
	Bases      map[string]artifactLocation `json:"originalUriBaseIds"`
	External   map[string]json.RawMessage  `json:"externalPropertyFileReferences"`
	Automation struct {
		ID string `json:"id"`
	} `json:"automationDetails"`
	Invocations []invocation `json:"invocations"`
	Provenance  []struct {
		RevisionID string `json:"revisionId"`
	} `json:"versionControlProvenance"`
}

type component struct {
	Name            string `json:"name"`
	GUID            string `json:"guid"`
	Version         string `json:"version"`
	SemanticVersion string `json:"semanticVersion"`
	Rules           []rule `json:"rules"`
	Notifications   []rule `json:"notifications"`
}

// rule is a reportingDescriptor, of rules or of notifications.
type rule struct {
	ID            string             `json:"id"`
	GUID          string             `json:"guid"`
	Short         message            `json:"shortDescription"`
	Full          message            `json:"fullDescription"`
	HelpURI       string             `json:"helpUri"`
	Messages      map[string]message `json:"messageStrings"`
	Config        configuration      `json:"defaultConfiguration"`
	Relationships []struct {
		Target reference `json:"target"`
	} `json:"relationships"`
	Properties properties `json:"properties"`
}

// configuration of a rule. Neither "enabled" nor "rank" is read: what a rule found is found, whether it was to be run or not,
// and ranks of different tools cannot be compared (3.27.25): those of Flawfinder are from 0 to 1.
type configuration struct {
	Level *string `json:"level"`
}

// override is a configuration with which a rule was run.
type override struct {
	Descriptor    reference     `json:"descriptor"`
	Configuration configuration `json:"configuration"`
}

// properties are a bag in which every tool puts what it likes, of any type.
type properties map[string]any

func (p properties) text(key string) string {
	s, _ := p[key].(string)
	return s
}

func (p properties) tags() []string {
	var tags []string
	list, _ := p["tags"].([]any)
	for _, tag := range list {
		if s, ok := tag.(string); ok {
			tags = append(tags, s)
		}
	}
	return tags
}

type message struct {
	Text      string   `json:"text"`
	ID        string   `json:"id"`
	Arguments []string `json:"arguments"`
}

// reference to a rule, a notification or a taxon.
type reference struct {
	ID        string        `json:"id"`
	Index     *int          `json:"index"`
	GUID      string        `json:"guid"`
	Component *componentRef `json:"toolComponent"`
}

type componentRef struct {
	Name  string `json:"name"`
	Index *int   `json:"index"`
	GUID  string `json:"guid"`
}

type result struct {
	RuleID    string     `json:"ruleId"`
	RuleIndex *int       `json:"ruleIndex"`
	Rule      *reference `json:"rule"`
	Kind      string     `json:"kind"`
	Level     *string    `json:"level"`
	Message   message    `json:"message"`
	Locations []location `json:"locations"`
	// Target is the file that was scanned, for a result that is at no place in it.
	Target       artifactLocation `json:"analysisTarget"`
	Suppressions []suppression    `json:"suppressions"`
	State        string           `json:"baselineState"`
	// Partial are contributions to a fingerprint; "fingerprints" is not read: semgrep writes "requires login" there.
	Partial    map[string]string `json:"partialFingerprints"`
	Taxa       []reference       `json:"taxa"`
	Provenance struct {
		Invocation *int `json:"invocationIndex"`
	} `json:"provenance"`
	Properties properties `json:"properties"`
}

type location struct {
	Physical physical `json:"physicalLocation"`
}

type physical struct {
	Artifact artifactLocation `json:"artifactLocation"`
	Region   region           `json:"region"`
}

// region has whole numbers, which JSON may write as 5.0.
type region struct {
	StartLine   float64 `json:"startLine"`
	StartColumn float64 `json:"startColumn"`
	EndLine     float64 `json:"endLine"`
}

func (r region) check() error {
	for _, n := range []float64{r.StartLine, r.StartColumn, r.EndLine} {
		switch {
		case n < 0:
			return errors.New("a line is negative")
		case n != math.Trunc(n) || n > math.MaxInt32:
			return fmt.Errorf("a line of number %v", n)
		}
	}
	return nil
}

type artifactLocation struct {
	URI   string `json:"uri"`
	Base  string `json:"uriBaseId"`
	Index *int   `json:"index"`
}

type artifact struct {
	Location artifactLocation `json:"location"`
}

type suppression struct {
	Kind          string `json:"kind"`
	Status        string `json:"status"`
	Justification string `json:"justification"`
}

type invocation struct {
	Successful    *bool          `json:"executionSuccessful"`
	Signal        string         `json:"exitSignalName"`
	StartFailure  string         `json:"processStartFailureMessage"`
	Execution     []notification `json:"toolExecutionNotifications"`
	Config        []notification `json:"toolConfigurationNotifications"`
	Rules         []override     `json:"ruleConfigurationOverrides"`
	Notifications []override     `json:"notificationConfigurationOverrides"`
}

type notification struct {
	Level      *string   `json:"level"`
	Descriptor reference `json:"descriptor"`
	Message    message   `json:"message"`
}
