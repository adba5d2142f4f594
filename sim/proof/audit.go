package proof

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/lifeboat-dr/lifeboat/archive/controlplane"
)

// While the controllers run, the API server writes down who writes what: that
// is the one place in which each of them has a name.
const (
	auditPolicyPath = "/etc/kubernetes/lifeboat-audit-policy.yaml"
	auditLogPath    = "/tmp/lifeboat-audit.log"

	auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  verbs: [get, list, watch]
- level: None
  verbs: [create, update, patch]
  resources: [{group: coordination.k8s.io, resources: [leases]}, {group: "", resources: [events]}, {group: events.k8s.io, resources: [events]}]
- level: Metadata
`
)

// auditFlags are put behind the archived ones: the last of a name counts.
var auditFlags = []string{
	"--audit-policy-file=" + auditPolicyPath, "--audit-log-path=" + auditLogPath,
	"--audit-log-format=json", "--audit-log-mode=blocking", "--audit-log-maxsize=0", "--audit-log-version=audit.k8s.io/v1",
}

// auditEvent is a write, as audit.k8s.io/v1 has it.
type auditEvent struct {
	Verb      string `json:"verb"`
	UserAgent string `json:"userAgent"`
	User      struct {
		Username string `json:"username"`
	} `json:"user"`
	Object struct {
		Group       string `json:"apiGroup"`
		Resource    string `json:"resource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
		Subresource string `json:"subresource"`
	} `json:"objectRef"`
	Response struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
}

func (e *auditEvent) resource() schema.GroupResource {
	return schema.GroupResource{Group: e.Object.Group, Resource: e.Object.Resource}
}

// label is that of the object that was written, or of the collection.
func (e *auditEvent) label() string {
	return label(e.resource(), e.Object.Namespace+"/"+e.Object.Name)
}

// author is the controller that wrote: its ServiceAccount, the name that it has
// put behind its program's (client-go rest.AddUserAgent), or the user.
func (e *auditEvent) author() string {
	const account = "system:serviceaccount:kube-system:"
	if name, ok := strings.CutPrefix(e.User.Username, account); ok {
		return name
	}
	program, _, _ := strings.Cut(e.UserAgent, "/")
	last := e.UserAgent[strings.LastIndexAny(e.UserAgent, "/:")+1:]
	if program == controlplane.ControllerManager || program == controlplane.Scheduler {
		return last
	}
	return e.User.Username
}

// readAudit reads the writes that were answered, in their order.
func (l *layout) readAudit() (all []auditEvent, err error) {
	f, err := os.Open(l.auditLog())
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewReader(f)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return all, nil // what has no end is being written
		}
		var e auditEvent
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("reading the audit log: %w", err)
		}
		if e.Response.Code >= 200 && e.Response.Code < 300 {
			all = append(all, e)
		}
	}
}
