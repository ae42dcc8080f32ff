package bench_test

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/org/idp/internal/tools/bench"
)

func TestMedian(t *testing.T) {
	t.Parallel()
	for want, times := range map[time.Duration][]time.Duration{5: {9, 5, 1}, 4: {9, 1, 5, 3}, 7: {7}} {
		if got := bench.Median(times); got != want {
			t.Errorf("the median of %v is %v", times, got)
		}
	}
	want := "it                                 median  2.00 s  fastest  1.00 s  slowest  4.50 s"
	if got := bench.Line("it", []time.Duration{2 * time.Second, 4500 * time.Millisecond, time.Second}); got != want {
		t.Errorf("%q", got)
	}
}

func TestTurns(t *testing.T) {
	t.Parallel()
	var order []string
	contender := func(name string) func(int) (string, error) {
		return func(round int) (string, error) {
			order = append(order, name)
			if round == 3 {
				return "", errors.New("not measured")
			}
			return name, nil
		}
	}
	of, err := bench.Turns(3, contender("a"), contender("b"))
	if err != nil || !reflect.DeepEqual(of, [2][]string{{"a", "a", "a"}, {"b", "b", "b"}}) {
		t.Errorf("%v %v", of, err)
	}
	if want := []string{"a", "b", "b", "a", "a", "b"}; !reflect.DeepEqual(order, want) {
		t.Errorf("the order was %v", order)
	}
	if _, err := bench.Turns(4, contender("a"), contender("b")); err == nil {
		t.Error("what could not be measured was")
	}
}
