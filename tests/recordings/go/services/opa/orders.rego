package shop.orders

default allow := false

allow if input.action == "read"

allow if input.action == "audit"

allow if {
	input.action == "view"
	input.order != "3"
}

allow if {
	input.action == "delete"
	"clerk" in input.roles
}

# Two answers at once: a policy that breaks.
allow := "yes" if input.action == "report"

allow := "no" if input.action == "report"
