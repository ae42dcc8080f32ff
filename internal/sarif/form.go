package sarif

import "encoding/json"

// What is read of SARIF 2.1.0 (OASIS, sarif-v2.1.0-os). A field that is not here changes no decision.

type document struct {
	Version string `json:"version"`
	Runs    []run  `json:"runs"`
}

type run struct {
	Tool struct {
		Driver     component   `json:"driver"`
		Extensions []component `json:"extensions"`
	} `json:"tool"`
	Results   *[]result  `json:"results"`
	Artifacts []artifact `json:"artifacts"`
	// Bases are what uriBaseId stands for: mostly the folder that the scanner ran in.
	Bases    map[string]artifactLocation `json:"originalUriBaseIds"`
	External struct {
		Results []json.RawMessage `json:"results"`
	} `json:"externalPropertyFileReferences"`
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
	Version         string `json:"version"`
	SemanticVersion string `json:"semanticVersion"`
	Rules           []rule `json:"rules"`
}

type rule struct {
	ID       string             `json:"id"`
	Short    message            `json:"shortDescription"`
	Full     message            `json:"fullDescription"`
	HelpURI  string             `json:"helpUri"`
	Messages map[string]message `json:"messageStrings"`
	Config   struct {
		Level *string `json:"level"`
	} `json:"defaultConfiguration"`
	Relationships []struct {
		Target reference `json:"target"`
	} `json:"relationships"`
	Properties properties `json:"properties"`
}

type properties struct {
	Severity  any      `json:"security-severity"` // a number in a text; some tools write the number itself
	Precision string   `json:"precision"`
	Tags      []string `json:"tags"`
}

type message struct {
	Text      string   `json:"text"`
	ID        string   `json:"id"`
	Arguments []string `json:"arguments"`
}

type reference struct {
	ID        string `json:"id"`
	Index     *int   `json:"index"`
	Component *struct {
		Name  string `json:"name"`
		Index *int   `json:"index"`
	} `json:"toolComponent"`
}

type result struct {
	RuleID       string        `json:"ruleId"`
	RuleIndex    *int          `json:"ruleIndex"`
	Rule         *reference    `json:"rule"`
	Kind         string        `json:"kind"`
	Level        *string       `json:"level"`
	Message      message       `json:"message"`
	Locations    []location    `json:"locations"`
	Suppressions []suppression `json:"suppressions"`
	State        string        `json:"baselineState"`
	// Partial are contributions to a fingerprint; "fingerprints" is not read: semgrep writes "requires login" there.
	Partial    map[string]string `json:"partialFingerprints"`
	Taxa       []reference       `json:"taxa"`
	Properties properties        `json:"properties"`
}

type location struct {
	Physical struct {
		Artifact artifactLocation `json:"artifactLocation"`
		Region   struct {
			StartLine   int `json:"startLine"`
			StartColumn int `json:"startColumn"`
			EndLine     int `json:"endLine"`
		} `json:"region"`
	} `json:"physicalLocation"`
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
	Successful *bool          `json:"executionSuccessful"`
	Execution  []notification `json:"toolExecutionNotifications"`
	Config     []notification `json:"toolConfigurationNotifications"`
}

type notification struct {
	Level   string  `json:"level"`
	Message message `json:"message"`
}
