package gitstore

import (
	"strings"
	"testing"
)

func TestTextsOfGitAreCleaned(t *testing.T) {
	t.Parallel()
	r, err := ParseRemote("https://x-access-token:gh%2Bs_abc@example.com/c.git")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"fatal: unable to access 'https://x-access-token:other@example.com/c.git/'", "gh+s_abc", "gh%2Bs_abc", r.header} {
		if got := r.clean(text); strings.Contains(got, "abc") || strings.Contains(got, "other") || got == text {
			t.Error(got)
		}
	}
	if strings.Contains(r.url+r.Shown, "abc") {
		t.Errorf("%+v", r)
	}
}
