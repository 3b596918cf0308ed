{{/* What all pods share. */}}

{{- define "sfumato.labels" -}}
app.kubernetes.io/name: sfumato
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "sfumato.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "sfumato.container" -}}
imagePullPolicy: {{ .Values.images.pullPolicy }}
securityContext:
  readOnlyRootFilesystem: true
  allowPrivilegeEscalation: false
  capabilities: {drop: [ALL]}
envFrom:
  - configMapRef: {name: {{ .Release.Name }}-settings}
{{- end }}

{{- define "sfumato.mounts" -}}
- {name: secrets, mountPath: /run/secrets/sfumato, readOnly: true}
- {name: tmp, mountPath: /tmp}
{{- end }}

{{- define "sfumato.volumes" -}}
- name: secrets
  secret:
    secretName: {{ .Values.secret }}
    defaultMode: 0440
- name: tmp
  emptyDir: {sizeLimit: 1Gi}
{{- end }}
