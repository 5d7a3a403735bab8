package bench

import (
	"runtime"
	"testing"
)

func TestReadHost(t *testing.T) {
	proc := tree(t, map[string]string{
		"sys/net/ipv4/ip_local_port_range": "1024\t65535\n",
		"meminfo":                          "MemTotal:       24684084 kB\n",
		"cpuinfo":                          "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC 9354\n\n",
	})
	sys := tree(t, map[string]string{"devices/system/clocksource/clocksource0/current_clocksource": "tsc\n"})
	h := readHostAt(proc, sys)
	if h.Ports != "1024-65535" || h.Memory != 24684084<<10 || h.Clock != "tsc" || h.Go != runtime.Version() || h.CPUs < 1 {
		t.Errorf("got %+v", h)
	}
	if runtime.GOARCH == "amd64" && h.CPU != "AMD EPYC 9354" {
		t.Errorf("the model is %q", h.CPU)
	}
	if h := readHostAt(t.TempDir(), t.TempDir()); h.CPU != runtime.GOARCH || h.Ports != "" || h.Memory != 0 || h.Clock != "" {
		t.Errorf("of nothing: %+v", h)
	}
}

func TestReadThisHost(t *testing.T) {
	if h := readHost(); h.Kernel == "" || h.Descriptors == 0 || h.Memory == 0 || h.Ports == "" {
		t.Errorf("got %+v", h)
	}
}
