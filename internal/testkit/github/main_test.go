package githubfake_test

import (
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"

	githubfake "github.com/org/idp/internal/testkit/github"
)

// visited has what answered well to a request of any test.
var visited sync.Map

// TestMain wants that every operation answered well once, where all tests were run.
func TestMain(m *testing.M) {
	code := m.Run()
	if code == 0 && flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.skip").Value.String() == "" {
		for _, name := range githubfake.Operations() {
			if _, ok := visited.Load(name); !ok {
				fmt.Printf("no test was answered by %s\n", name)
				code = 1
			}
		}
	}
	os.Exit(code)
}
