package fault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
)

func TestWhatNobodyClassifiedIsUndetermined(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		want Kind
	}{
		"plain":                     {errors.New("x"), Undetermined},
		"failed":                    {Failedf("x"), Failed},
		"wrapped failed":            {fmt.Errorf("more: %w", Failedf("x")), Failed},
		"bad input":                 {BadInputf("x"), BadInput},
		"skip":                      {Skipf("x"), Skipped},
		"undetermined":              {Undeterminedf("x"), Undetermined},
		"joined":                    {errors.Join(nil, Failedf("x"), io.EOF), Failed},
		"cancelled gate":            {Failedf("scan: %w", context.Canceled), Undetermined},
		"gate that ran out of time": {Failedf("scan: %w", context.DeadlineExceeded), Undetermined},
		"skip of a cancelled stage": {Skipf("x: %w", context.Canceled), Undetermined},
		"zero value":                {&Error{}, Undetermined},
	} {
		if got := KindOf(test.err); got != test.want {
			t.Errorf("%s: kind %d, want %d", name, got, test.want)
		}
	}
}

func TestCausesStayReachable(t *testing.T) {
	err := fmt.Errorf("stage: %w", Undeterminedf("reading %s: %w, and %w", "x", io.EOF, io.ErrClosedPipe))
	if !errors.Is(err, io.EOF) || !errors.Is(err, io.ErrClosedPipe) {
		t.Error("a cause is lost")
	}
	if got, want := err.Error(), "stage: reading x: EOF, and io: read/write on closed pipe"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLinesAreHeadlineDetailAndWhatToDo(t *testing.T) {
	err := fmt.Errorf("first\nsecond: %w", Failedf("no").WithDetail("a", "b").WithNext("do this"))
	if got, want := Lines(err), []string{"first", "second: no", "a", "b", "do this"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := Lines(errors.New("plain")), []string{"plain"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
