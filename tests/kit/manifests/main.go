// Command manifests judges deployment files with the libraries of those who will read them.
//
//	manifests compose FILE...       Compose's own loader: schema, interpolation from the environment, references; prints JSON
//	manifests kubernetes FILE...    each document decoded strictly into its type of the Kubernetes API; pods held to the
//	                                restricted Pod Security Standard
//
// What is wrong is told on standard error, one line each, and by the exit code 1.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/compose-spec/compose-go/v2/cli"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: manifests compose|kubernetes FILE...")
		os.Exit(2)
	}
	var faults []error
	switch os.Args[1] {
	case "compose":
		faults = compose(os.Args[2:])
	case "kubernetes":
		for _, file := range os.Args[2:] {
			faults = append(faults, kubernetes(file)...)
		}
	default:
		faults = []error{fmt.Errorf("unknown kind %q", os.Args[1])}
	}
	for _, fault := range faults {
		fmt.Fprintln(os.Stderr, fault)
	}
	if len(faults) > 0 {
		os.Exit(1)
	}
}

// compose loads the files as `docker compose --file ... config` does, the .env file beside the first one included.
func compose(files []string) []error {
	options, err := cli.NewProjectOptions(files,
		cli.WithWorkingDirectory(filepath.Dir(files[0])), cli.WithOsEnv, cli.WithEnvFiles(), cli.WithDotEnv,
		cli.WithInterpolation(true), cli.WithResolvedPaths(true))
	if err != nil {
		return []error{err}
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return []error{err}
	}
	shown, err := json.Marshal(project)
	if err != nil {
		return []error{err}
	}
	fmt.Println(string(shown))
	return nil
}

func kubernetes(file string) []error {
	text, err := os.ReadFile(file)
	if err != nil {
		return []error{err}
	}
	var faults []error
	for number, document := range documents(text) {
		for _, fault := range judge(document) {
			faults = append(faults, fmt.Errorf("%s, document %d: %w", filepath.Base(file), number+1, fault))
		}
	}
	return faults
}

func documents(text []byte) [][]byte {
	var found [][]byte
	for _, part := range bytes.Split(append([]byte("\n"), text...), []byte("\n---")) {
		if len(bytes.TrimSpace(part)) > 0 {
			found = append(found, part)
		}
	}
	return found
}

func judge(document []byte) []error {
	var head metav1.TypeMeta
	if err := yaml.Unmarshal(document, &head); err != nil {
		return []error{err}
	}
	object := map[string]any{
		"v1 Namespace":                       &corev1.Namespace{},
		"v1 ConfigMap":                       &corev1.ConfigMap{},
		"v1 Secret":                          &corev1.Secret{},
		"v1 Service":                         &corev1.Service{},
		"v1 ServiceAccount":                  &corev1.ServiceAccount{},
		"v1 PersistentVolumeClaim":           &corev1.PersistentVolumeClaim{},
		"apps/v1 Deployment":                 &appsv1.Deployment{},
		"apps/v1 StatefulSet":                &appsv1.StatefulSet{},
		"batch/v1 CronJob":                   &batchv1.CronJob{},
		"networking.k8s.io/v1 NetworkPolicy": &networkingv1.NetworkPolicy{},
		"networking.k8s.io/v1 Ingress":       &networkingv1.Ingress{},
		"policy/v1 PodDisruptionBudget":      &policyv1.PodDisruptionBudget{},
	}[head.APIVersion+" "+head.Kind]
	if object == nil {
		return []error{fmt.Errorf("no known type: %q %q", head.APIVersion, head.Kind)}
	}
	if err := yaml.UnmarshalStrict(document, object); err != nil {
		return []error{err}
	}
	if template := podOf(object); template != nil {
		return restricted(template)
	}
	return nil
}

func podOf(object any) *corev1.PodTemplateSpec {
	switch one := object.(type) {
	case *appsv1.Deployment:
		return &one.Spec.Template
	case *appsv1.StatefulSet:
		return &one.Spec.Template
	case *batchv1.CronJob:
		return &one.Spec.JobTemplate.Spec.Template
	}
	return nil
}

func restricted(template *corev1.PodTemplateSpec) []error {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		return []error{err}
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	result := policy.AggregateCheckResults(evaluator.EvaluatePod(level, &template.ObjectMeta, &template.Spec))
	if result.Allowed {
		return nil
	}
	return []error{errors.New("pod security, restricted: " + result.ForbiddenDetail())}
}
