package elsewhere

allow := true
