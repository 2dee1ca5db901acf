package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"
)

// A decider asks a policy engine whether somebody may do something to an order.
type decider func(ctx context.Context, who *claims, action, id string) (bool, error)

func deciderOf(kind string) decider {
	switch kind {
	case "opa":
		return askOPA
	case "openfga":
		return askOpenFGA
	case "cerbos":
		return askCerbos
	}
	return nil
}

func askOPA(ctx context.Context, who *claims, action, id string) (bool, error) {
	var said struct{ Result bool }
	input := map[string]any{"user": who.Subject, "roles": who.Roles, "action": action, "order": id}
	err := ask(ctx, os.Getenv("OPA")+"/v1/data/shop/orders/allow", map[string]any{"input": input}, &said)
	return said.Result, err
}

func askOpenFGA(ctx context.Context, who *claims, action, id string) (bool, error) {
	var said struct{ Allowed bool }
	if id == "" {
		id = "all"
	}
	key := map[string]string{"user": "user:" + who.Subject, "relation": "can_" + action, "object": "order:" + id}
	err := ask(ctx, os.Getenv("OPENFGA")+"/stores/"+os.Getenv("STORE")+"/check", map[string]any{"tuple_key": key}, &said)
	return said.Allowed, err
}

func askCerbos(ctx context.Context, who *claims, action, id string) (bool, error) {
	var said struct {
		Results []struct{ Actions map[string]string }
	}
	if id == "" {
		id = "all"
	}
	err := ask(ctx, os.Getenv("CERBOS")+"/api/check/resources", map[string]any{
		"principal": map[string]any{"id": who.Subject, "roles": append([]string{"user"}, who.Roles...)},
		"resources": []any{map[string]any{"actions": []string{action}, "resource": map[string]string{"kind": "order", "id": id}}},
	}, &said)
	return len(said.Results) == 1 && said.Results[0].Actions[action] == "EFFECT_ALLOW", err
}

func ask(ctx context.Context, url string, question, said any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, time.Second)
	defer stop()
	answer, err := call(ctx, http.MethodPost, url, "", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the policy engine answered %d", answer.StatusCode)
	}
	return json.NewDecoder(answer.Body).Decode(said)
}
