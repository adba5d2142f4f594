package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/lifeboat-dr/lifeboat/snapshot"
	"github.com/lifeboat-dr/lifeboat/snapshot/datadir"
)

func (r *repairer) plan() error {
	info, err := r.src.db.Info(r.c.Context)
	if err != nil {
		return err
	}
	alarms, err := r.src.db.Alarms()
	if err != nil {
		return err
	}
	var steps []string
	if r.do.Compact {
		steps = append(steps, fmt.Sprintf("compact to revision %d of %d", max(0, info.Revision-r.do.Keep), info.Revision))
	}
	if r.do.Disarm || r.src.replay != nil {
		steps = append(steps, fmt.Sprintf("clear %d alarms", len(alarms)))
	}
	if r.do.Defrag {
		steps = append(steps, fmt.Sprintf("write %s in use anew, of %s", humanize.Bytes(uint64(info.SizeInUse)), humanize.Bytes(uint64(info.Size))))
	}
	steps = append(steps, "check it against SRC, key by key")
	if r.src.replay == nil {
		steps = append(steps, "write "+r.to)
		err = r.refuse()
	} else {
		var rs *restorer
		var plan *datadir.RestorePlan
		if rs, plan, err = r.planDir(r.src); err == nil {
			steps = slices.Concat(steps, memberSteps(plan), rs.explained)
		}
	}
	if err != nil {
		return targetHint(err)
	}
	if r.env.format != formatTable {
		return r.env.printDocument(map[string]any{"plan": steps, "before": info, "alarms": alarms, "time": time.Now().UTC()})
	}
	out := newSection(r.env)
	out.line("Plan (nothing is written):")
	for _, step := range steps {
		out.line("  %s", printable(step))
	}
	return out.err
}

func (r *repairer) print(report repairReport) error {
	out := newSection(r.env)
	b, a := report.Before, report.After
	out.table([][]string{
		{"STATE", "DB SIZE", "IN USE", "RECORDS", "KEYS", "COMPACTED"},
		sizesOf("before", b),
		sizesOf("after", a),
	})
	var names []string
	for _, alarm := range report.Alarms {
		names = append(names, fmt.Sprintf("%s of member %x", alarm.Alarm, alarm.MemberID))
	}
	switch {
	case len(names) == 0:
		out.line("no alarm was raised")
	case r.do.Disarm || r.src.replay != nil:
		out.line("disarmed: %s", strings.Join(names, ", "))
	default:
		out.line("still raised: %s (--disarm clears)", strings.Join(names, ", "))
	}
	out.line("wrote %s", printable(r.to))
	printUndo(out, r.to, report.Aside)
	if report.DataDir == nil {
		return out.err
	}
	for _, m := range report.DataDir.Members {
		printUndo(out, m.Renames, m.Aside)
	}
	out.heading("Next")
	for _, step := range report.Next {
		out.line("  %s", printable(step))
	}
	return out.err
}

func sizesOf(state string, i snapshot.Info) []string {
	return []string{
		state, humanize.Bytes(uint64(i.Size)), humanize.Bytes(uint64(i.SizeInUse)),
		strconv.FormatInt(i.Records, 10), strconv.FormatInt(i.LiveKeys, 10), strconv.FormatInt(max(0, i.CompactRevision), 10),
	}
}
