package record

// GitHub is the evidence of github: where on GitHub the delivery can be seen. What is not shown is 0, false or empty.
type GitHub struct {
	Deployment   int64    `json:"deployment,omitempty" jsonschema_description:"Number of the deployment."`
	Rollback     int64    `json:"rollback,omitempty" jsonschema_description:"Number of the deployment that put the old version back."`
	Check        int64    `json:"check,omitempty" jsonschema_description:"Number of the check run."`
	Status       bool     `json:"status,omitempty" jsonschema_description:"True when a commit status stands in for the check run."`
	Comment      string   `json:"comment,omitempty" jsonschema_description:"URL of the comment in the pull request."`
	CodeScanning string   `json:"codeScanning,omitempty" jsonschema_description:"Id of the upload that was processed."`
	Changes      *Changes `json:"changes,omitempty" jsonschema_description:"Absent for a first delivery, and where it is not known."`
	Without      []string `json:"without" jsonschema_description:"What could not be shown, and what it would need."`
}

// Changes is what lies between what is live and what is delivered.
type Changes struct {
	Since        string   `json:"since" jsonschema_description:"Commit that is live."`
	Commits      int      `json:"commits" jsonschema_description:"That this delivery brings."`
	Undone       int      `json:"undone,omitempty" jsonschema_description:"Commits that are live and that it does not have."`
	PullRequests []int    `json:"pullRequests,omitempty" jsonschema_description:"Numbers, the newest first; of more than 200 commits, those of the newest."`
	Authors      []string `json:"authors,omitempty" jsonschema_description:"Logins, or names where GitHub knows none."`
	Reverts      []string `json:"reverts,omitempty" jsonschema_description:"What the commits say they take back: a commit, or #NUMBER of a pull request."`
}
