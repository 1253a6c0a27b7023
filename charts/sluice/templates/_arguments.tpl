{{/* The flags of `sluice serve`: those that the chart sets, those that stand in the ConfigMap but need new Pods, extraArgs. */}}

{{/* Keys of controller.config that are flags here, each with its flag. */}}
{{- define "sluice.flagKeys" -}}
{{- dict "worker-processes" "workers" "worker-shutdown-timeout" "shutdown-grace-period" "bind-address" "bind-address" | toJson -}}
{{- end -}}

{{/* What the ConfigMap holds, as YAML. */}}
{{- define "sluice.config" -}}
{{- $flagKeys := include "sluice.flagKeys" . | fromJson -}}
{{- $config := dict -}}
{{- range $key, $value := .Values.controller.config -}}
{{- if not (hasKey $flagKeys $key) -}}
{{- $_ := set $config $key (tpl (include "sluice.text" $value) $) -}}
{{- end -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{/* Seconds between a Pod's end and the moment when it is told to stop. */}}
{{- define "sluice.preStopSeconds" -}}
{{- $preStop := default dict (default dict .Values.controller.lifecycle).preStop -}}
{{- if or (hasKey $preStop "exec") (hasKey $preStop "httpGet") -}}0
{{- else -}}
{{- int (default 0 (default dict $preStop.sleep).seconds) -}}
{{- end -}}
{{- end -}}

{{/* Seconds of the grace period that are left for requests under way; 10 go to the last writes to the API server and the logs. */}}
{{- define "sluice.drainSeconds" -}}
{{- sub (int .Values.controller.terminationGracePeriodSeconds) (add (int (include "sluice.preStopSeconds" .)) 10) -}}
{{- end -}}

{{/* `namespace/name` of the Service whose addresses are published; empty for none. */}}
{{- define "sluice.publishService" -}}
{{- $controller := .Values.controller -}}
{{- if and $controller.publishService.enabled $controller.publishService.pathOverride -}}
{{- $controller.publishService.pathOverride -}}
{{- else if and $controller.publishService.enabled $controller.service.enabled $controller.service.external.enabled -}}
{{- printf "%s/%s" (include "sluice.namespace" .) (include "sluice.controller" .) -}}
{{- else if and $controller.publishService.enabled $controller.service.enabled $controller.service.internal.enabled -}}
{{- printf "%s/%s-internal" (include "sluice.namespace" .) (include "sluice.controller" .) -}}
{{- end -}}
{{- end -}}

{{/* The namespaces that are served, as a JSON list; empty for all. */}}
{{- define "sluice.watchedNamespaces" -}}
{{- $scope := .Values.controller.scope -}}
{{- $namespaces := list -}}
{{- if $scope.enabled -}}
{{- if or $scope.namespace (not $scope.namespaces) -}}
{{- $namespaces = append $namespaces (default (include "sluice.namespace" .) $scope.namespace) -}}
{{- end -}}
{{- $namespaces = concat $namespaces $scope.namespaces | uniq -}}
{{- end -}}
{{- toJson $namespaces -}}
{{- end -}}

{{/* The flags that the chart sets, as a JSON object: a text, or a list where the flag is repeated. */}}
{{- define "sluice.ownFlags" -}}
{{- $controller := .Values.controller -}}
{{- $class := $controller.ingressClassResource -}}
{{- $flags := dict
  "admin-port" (int $controller.metrics.port)
  "http-port" (int $controller.containerPort.http)
  "https-port" (int $controller.containerPort.https)
  "configmap" (printf "%s/%s" (include "sluice.namespace" .) (include "sluice.controller" .))
  "controller-class" $class.controllerValue
  "ingress-class" (default $class.name $controller.ingressClass)
  "election-id" (include "sluice.lease" .)
  "shutdown-grace-period" (printf "%ss" (include "sluice.drainSeconds" .))
-}}
{{- with include "sluice.publishService" . -}}
{{- $_ := set $flags "publish-service" . -}}
{{- end -}}
{{- range $protocol := list "tcp" "udp" -}}
{{- if get $.Values $protocol -}}
{{- $name := include "sluice.streamConfigMap" (dict "context" $ "protocol" $protocol) -}}
{{- $_ := set $flags (printf "%s-services-configmap" $protocol) (printf "%s/%s" (include "sluice.namespace" $) $name) -}}
{{- end -}}
{{- end -}}
{{- if $controller.watchIngressWithoutClass -}}
{{- $_ := set $flags "watch-ingress-without-class" "true" -}}
{{- end -}}
{{- with include "sluice.watchedNamespaces" . | fromJsonArray -}}
{{- $_ := set $flags "watch-namespace" . -}}
{{- end -}}
{{- if and (not $controller.scope.enabled) $controller.scope.namespaceSelector -}}
{{- $_ := set $flags "watch-namespace-selector" $controller.scope.namespaceSelector -}}
{{- end -}}
{{- with $controller.healthCheckHost -}}
{{- $_ := set $flags "admin-address" . -}}
{{- end -}}
{{- range $key, $flag := include "sluice.flagKeys" . | fromJson -}}
{{- if hasKey $controller.config $key -}}
{{- $text := tpl (include "sluice.text" (get $controller.config $key)) $ -}}
{{- $_ := set $flags $flag (eq $text "auto" | ternary "0" $text) -}}
{{- end -}}
{{- end -}}
{{- toJson $flags -}}
{{- end -}}

{{/*
The same with the user's, which take the place of the chart's. A flag of ingress-nginx that asks for nothing gets past the
checks, but not to Sluice, which has no such flag.
*/}}
{{- define "sluice.flags" -}}
{{- $flags := include "sluice.ownFlags" . | fromJson -}}
{{- range $flag, $value := .Values.controller.extraArgs -}}
{{- $_ := set $flags $flag $value -}}
{{- end -}}
{{- range $row := (.Files.Get "files/refused.yaml" | fromYaml).refused -}}
{{- if hasPrefix "controller.extraArgs." $row.value -}}
{{- $_ := unset $flags (trimPrefix "controller.extraArgs." $row.value) -}}
{{- end -}}
{{- end -}}
{{- toJson $flags -}}
{{- end -}}

{{/* The arguments as a YAML list; a flag without a value stands alone. */}}
{{- define "sluice.arguments" -}}
- serve
{{- range $flag, $value := include "sluice.flags" . | fromJson }}
{{- range $each := kindIs "slice" $value | ternary $value (list $value) }}
{{- $text := include "sluice.text" $each }}
- {{ empty $text | ternary (printf "--%s" $flag) (printf "--%s=%s" $flag $text) | quote }}
{{- end }}
{{- end }}
{{- end -}}
