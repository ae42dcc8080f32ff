package deploying

import (
	"testing"

	"github.com/org/idp/internal/fault"
)

func TestACommentThatApproves(t *testing.T) {
	t.Parallel()
	const fine = fault.Kind(-1)
	for _, tc := range []struct {
		event, action string
		number        int
		body          string
		kind          fault.Kind
		environment   string
		service       string
	}{
		{"issue_comment", "created", 7, "/approve production", fine, "production", ""},
		{"issue_comment", "created", 7, "/approve production checkout\r\n\nLooks good.", fine, "production", "checkout"},
		{"issue_comment", "created", 7, "/approve", fault.Failed, "", ""},
		{"issue_comment", "created", 7, "/approve production checkout now", fault.Failed, "", ""},
		{"issue_comment", "created", 7, "I would /approve production", fault.Skipped, "", ""},
		{"issue_comment", "created", 7, "/approved production", fault.Skipped, "", ""},
		{"issue_comment", "created", 7, "\n/approve production", fault.Skipped, "", ""},
		{"issue_comment", "created", 7, "", fault.Skipped, "", ""},
		{"issue_comment", "created", 0, "/approve production", fault.Skipped, "", ""},
		{"issue_comment", "edited", 7, "/approve production", fault.Skipped, "", ""},
		{"push", "", 0, "", fault.BadInput, "", ""},
	} {
		environment, service, err := approved(tc.event, tc.action, tc.number, tc.body)
		kind := fine
		if err != nil {
			kind = fault.KindOf(err)
		}
		if kind != tc.kind || environment != tc.environment || service != tc.service {
			t.Errorf("%+v: %q, %q, %v", tc, environment, service, err)
		}
	}
}
