{{/* What stands in the way of an installation: all of it at once, each with the value and what to write instead. */}}

{{/* "true" when a value asks for nothing: empty, or a map of such. */}}
{{- define "sluice.asksNothing" -}}
{{- if empty . -}}true
{{- else if kindIs "map" . -}}
{{- $nothing := true -}}
{{- range $value := . -}}
{{- if ne (include "sluice.asksNothing" $value) "true" -}}{{- $nothing = false -}}{{- end -}}
{{- end -}}
{{- $nothing -}}
{{- end -}}
{{- end -}}

{{/* The value at a path, as a JSON list of one, or of none: dict "path" … "values" … */}}
{{- define "sluice.lookUp" -}}
{{- $node := .values -}}
{{- $found := true -}}
{{- range $part := splitList "." .path -}}
{{- if and $found (kindIs "map" $node) -}}
{{- if hasKey $node $part -}}{{- $node = get $node $part -}}{{- else -}}{{- $found = false -}}{{- end -}}
{{- else -}}
{{- $found = false -}}
{{- end -}}
{{- end -}}
{{- $found | ternary (list $node) list | toJson -}}
{{- end -}}

{{/* "true" when a row of files/refused.yaml is met: dict "row" … "values" … */}}
{{- define "sluice.isRefused" -}}
{{- $row := .row -}}
{{- $values := .values -}}
{{- range $value := include "sluice.lookUp" (dict "path" $row.value "values" $values) | fromJsonArray -}}
{{- $text := include "sluice.text" $value -}}
{{- $isFlag := hasPrefix "controller.extraArgs." $row.value -}}
{{- $refused := false -}}
{{- if $row.refuse -}}
{{- $refused = has $text $row.refuse -}}
{{- else if $row.match -}}
{{- $refused = regexMatch $row.match $text -}}
{{- else if has $text (default list $row.accept) -}}
{{- else if $isFlag -}}
{{- $refused = ne $text "false" -}}
{{- else -}}
{{- $refused = ne (include "sluice.asksNothing" $value) "true" -}}
{{- end -}}
{{- with $row.unless -}}
{{- $unless := splitn "=" 2 . -}}
{{- range $other := include "sluice.lookUp" (dict "path" $unless._0 "values" $values) | fromJsonArray -}}
{{- if $unless._1 -}}
{{- if eq (include "sluice.text" $other) $unless._1 -}}{{- $refused = false -}}{{- end -}}
{{- else if $other -}}
{{- $refused = false -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $refused -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{/* What contradicts itself, a line each. */}}
{{- define "sluice.contradictions" -}}
{{- $controller := .Values.controller -}}
{{- range $name, $port := $controller.containerPort -}}
{{- if lt (int $port) 1024 }}
controller.containerPort.{{ $name }}: the container may not listen below 1024; leave it out, for clients see controller.service.ports.{{ $name }} (or controller.hostPort.ports.{{ $name }})
{{- end -}}
{{- end -}}
{{- range $port, $target := .Values.tcp -}}
{{- $text := include "sluice.text" $port -}}
{{- range $own, $value := dict "controller.containerPort.http" $controller.containerPort.http "controller.containerPort.https" $controller.containerPort.https "controller.metrics.port" $controller.metrics.port "controller.service.ports.http" $controller.service.ports.http "controller.service.ports.https" $controller.service.ports.https -}}
{{- if eq (int $text) (int $value) }}
tcp.{{ $text }}: the port is that of {{ $own }}; choose another one for one of the two
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (include "sluice.lowStreamPort" .) $controller.hostNetwork }}
controller.hostNetwork: the container may not listen below 1024 on its node, as port {{ include "sluice.lowStreamPort" . }} of tcp or udp would; choose a port above, or leave it out
{{- end -}}
{{- if and $controller.hostNetwork $controller.hostPort.enabled }}
controller.hostPort.enabled: with controller.hostNetwork the ports of the container are those of the node; keep one of the two
{{- end -}}
{{- if and (eq $controller.kind "DaemonSet") $controller.autoscaling.enabled }}
controller.autoscaling.enabled: a DaemonSet has a Pod a node and does not scale; set controller.kind to Deployment, or remove it
{{- end -}}
{{- if and $controller.scope.enabled $controller.scope.namespaceSelector }}
controller.scope.namespaceSelector: the namespaces are named already; remove it, or controller.scope.enabled
{{- end -}}
{{- if and .Values.rbac.scope (not $controller.scope.enabled) }}
rbac.scope: Roles alone are enough only for named namespaces; set controller.scope.enabled, or remove it
{{- end -}}
{{- if and $controller.metrics.enabled $controller.metrics.serviceMonitor.enabled (not $controller.metrics.service.enabled) }}
controller.metrics.serviceMonitor.enabled: it finds Pods by the Service; set controller.metrics.service.enabled
{{- end -}}
{{- $ownFlags := include "sluice.ownFlags" . | fromJson -}}
{{- range $flag, $value := dict
  "admin-port" "controller.metrics.port"
  "configmap" "controller.config"
  "election-id" "controller.electionID"
  "http-port" "controller.containerPort.http"
  "tcp-services-configmap" "tcp"
  "udp-services-configmap" "udp"
  "https-port" "controller.containerPort.https"
  "watch-namespace" "controller.scope"
  "watch-namespace-selector" "controller.scope.namespaceSelector"
-}}
{{- if hasKey $controller.extraArgs $flag -}}
{{- if ne (include "sluice.text" (get $controller.extraArgs $flag)) (include "sluice.text" (get $ownFlags $flag)) }}
controller.extraArgs.{{ $flag }}: other objects of the chart depend on it; set {{ $value }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.rbac.secretNames (eq (include "sluice.text" (get $controller.extraArgs "watch-secrets")) "tls") }}
rbac.secretNames: with controller.extraArgs.watch-secrets "tls" all Secrets are listed; remove one of the two
{{- end -}}
{{- $drain := int (include "sluice.drainSeconds" .) -}}
{{- $needed := 0 -}}
{{- $flags := include "sluice.flags" . | fromJson -}}
{{- $grace := include "sluice.text" (get $flags "shutdown-grace-period") -}}
{{- if regexMatch "^[0-9]+s?$" $grace -}}{{- $needed = trimSuffix "s" $grace | int -}}{{- end -}}
{{- if regexMatch "^[0-9]+m$" $grace -}}{{- $needed = trimSuffix "m" $grace | int | mul 60 -}}{{- end -}}
{{- if regexMatch "^[0-9]+h$" $grace -}}{{- $needed = trimSuffix "h" $grace | int | mul 3600 -}}{{- end -}}
{{- $preStop := int (include "sluice.preStopSeconds" .) -}}
{{- if lt $drain 0 }}
controller.terminationGracePeriodSeconds: {{ int $controller.terminationGracePeriodSeconds }} is over before the Pod is told to stop; write at least {{ add $preStop 10 }}, better {{ add $preStop 40 }}
{{- else if gt (int $needed) $drain }}
controller.terminationGracePeriodSeconds: {{ int $controller.terminationGracePeriodSeconds }} does not cover the {{ $grace }} that connections have to end, beside {{ $preStop }} s before and 10 s after; write at least {{ add $needed $preStop 10 }}
{{- end -}}
{{- end -}}

{{- define "sluice.check" -}}
{{- $problems := list -}}
{{- range $row := (.Files.Get "files/refused.yaml" | fromYaml).refused -}}
{{- if include "sluice.isRefused" (dict "row" $row "values" $.Values) -}}
{{- $problems = append $problems (printf "%s: %s" $row.value $row.instead) -}}
{{- end -}}
{{- end -}}
{{- range $line := include "sluice.contradictions" . | splitList "\n" -}}
{{- if $line -}}{{- $problems = append $problems $line -}}{{- end -}}
{{- end -}}
{{- if $problems -}}
{{- printf "\n\nSluice cannot be installed with these values:\n\n  - %s\n" (join "\n  - " $problems) | fail -}}
{{- end -}}
{{- end -}}
