package tuning

import (
	"testing"

	"github.com/dormouse-ws/dormouse/e2e/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
