//go:build race

package aicp

func init() { raceDetector = true }
