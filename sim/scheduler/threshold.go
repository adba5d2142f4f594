package scheduler

// The bounds of pkg/scheduler/schedule_one.go.
const (
	minFeasibleNodesToFind           = 100
	minFeasibleNodesPercentageToFind = 5
)

// Threshold is after how many feasible nodes the scheduler stops looking, and
// so how many it scores at most, of n candidates. percentage is
// percentageOfNodesToScore; 0 is the adaptive default.
//
// It repeats (*Scheduler).numFeasibleNodesToFind, which is not exported; a
// test holds the two together.
func Threshold(n, percentage int32) int32 {
	if n < minFeasibleNodesToFind {
		return n
	}
	if percentage == 0 {
		percentage = AdaptivePercentage(n)
	}
	return max(n*percentage/100, minFeasibleNodesToFind)
}

// AdaptivePercentage is the percentage that Threshold takes by default.
func AdaptivePercentage(n int32) int32 {
	return max(50-n/125, minFeasibleNodesPercentageToFind)
}
