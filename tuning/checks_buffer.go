package tuning

func bufferChecks() []Check { return nil }
