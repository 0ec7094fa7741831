#!/usr/bin/env bash
# A real single-node Slurm (munged, slurmctld, slurmd) on the loopback interface, with fake GPUs and without systemd.
#   cluster.sh up DIR | down DIR | stop DIR DAEMON | start DIR DAEMON        DAEMON: slurmctld or slurmd
# Every job that starts or ends adds a line "time start|end job gpus" to DIR/ledger.
set -euo pipefail
verb=${1:?up, down, stop or start} root=$(realpath -m "${2:?state folder}") daemon=${3:-}
node=testnode cpus=8 gpus=2 memory=200000 port=${SLURM_TEST_PORT:-16817}

wait_for() { # tenths of a second, command
  local tries=$1; shift
  for _ in $(seq "$tries"); do "$@" >/dev/null 2>&1 && return 0; sleep 0.1; done
  return 1
}

stop_one() {
  local file=$root/run/$1.pid pid
  [ -s "$file" ] || return 0
  pid=$(cat "$file")
  # Only a daemon of this folder: its command line or environment names it.
  if cat "/proc/$pid/cmdline" "/proc/$pid/environ" 2>/dev/null | tr '\0' '\n' | grep -qF -- "$root"; then
    kill "$pid" 2>/dev/null || true
    wait_for 50 sh -c "! kill -0 $pid" || kill -9 "$pid" 2>/dev/null || true
  fi
  rm -f "$file"
}

start_one() {
  case $1 in
    munged) munged --force --key-file="$root/etc/munge.key" --socket="$root/run/munge.socket" --num-threads=2 \
      --pid-file="$root/run/munged.pid" --log-file="$root/log/munged.log" --seed-file="$root/etc/munged.seed" ;;
    slurmctld) slurmctld -f "$root/slurm.conf" ;;
    slurmd) slurmd -f "$root/slurm.conf" -N $node ;;
  esac
}

down() {
  for name in slurmd slurmctld munged; do stop_one $name; done
  for name in slurm.conf gres.conf cgroup.conf; do
    if [ "$(readlink "/etc/slurm/$name" 2>/dev/null)" = "$root/$name" ]; then rm -f "/etc/slurm/$name"; fi
  done
}

write_configuration() {
  # A job that is requeued waits for cred_expire seconds; by default that is two minutes.
  cat > "$root/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$root/run/munge.socket,cred_expire=20
CredType=cred/munge
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmctldPidFile=$root/run/slurmctld.pid
SlurmdPidFile=$root/run/slurmd.pid
SlurmctldLogFile=$root/log/slurmctld.log
SlurmdLogFile=$root/log/slurmd.log
StateSaveLocation=$root/spool/ctld
SlurmdSpoolDir=$root/spool/d
Prolog=$root/note_start
Epilog=$root/note_end
TaskProlog=$root/no_network
PrologFlags=Alloc
ReturnToService=2
MpiDefault=none
SwitchType=switch/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=0
PropagateResourceLimits=NONE
GresTypes=gpu
MinJobAge=900
KillWait=5
SlurmctldTimeout=120
SlurmdTimeout=120
AccountingStorageType=accounting_storage/none
NodeName=$node NodeHostname=localhost NodeAddr=127.0.0.1 CPUs=$cpus RealMemory=$memory Gres=gpu:$gpus State=UNKNOWN
PartitionName=cpu Nodes=$node Default=YES MaxTime=1440 DefMemPerCPU=100 State=UP OverSubscribe=NO
PartitionName=gpu Nodes=$node Default=NO MaxTime=1440 DefMemPerCPU=100 State=UP OverSubscribe=NO
CONF
  # A gpu gres without device files counts as zero GPUs; any device node will do.
  mkdir -p "$root/dev"
  for index in $(seq 0 $((gpus - 1))); do mknod "$root/dev/gpu$index" c 1 3; done
  echo "NodeName=$node Name=gpu File=$root/dev/gpu[0-$((gpus - 1))] Flags=nvidia_gpu_env" > "$root/gres.conf"
  echo "CgroupPlugin=cgroup/v1" > "$root/cgroup.conf"
  for event in start end; do
    printf '#!/bin/sh\necho "$(date +%%s.%%N) %s $SLURM_JOB_ID ${SLURM_JOB_GPUS:--}" >> %s/ledger\n' $event "$root" \
      > "$root/note_$event"
    chmod 755 "$root/note_$event"
  done
  # Jobs reach no Hub, as on sites whose compute nodes have no network: what a task prolog prints enters a job's environment.
  printf '#!/bin/sh\necho export HF_ENDPOINT=http://127.0.0.1:9\n' > "$root/no_network"
  chmod 755 "$root/no_network"
  : > "$root/ledger"
  # The executor's job steps drop SLURM_CONF, so the configuration must also be at its compiled-in place.
  mkdir -p /etc/slurm
  for name in slurm.conf gres.conf cgroup.conf; do
    if [ -e "/etc/slurm/$name" ] && [ ! -L "/etc/slurm/$name" ]; then
      echo "/etc/slurm/$name exists: this machine has a Slurm of its own, which is left alone" >&2
      exit 7
    fi
    ln -sfn "$root/$name" "/etc/slurm/$name"
  done
}

up() {
  command -v slurmctld slurmd munged sbatch >/dev/null ||
    { echo "needed: apt-get install --no-install-recommends slurm-wlm munge" >&2; exit 3; }
  mkdir -p "$root"/{run,log,spool/ctld,spool/d,etc}
  chmod 755 "$root" "$root"/{run,log,spool,etc}
  (umask 077; head -c 1024 /dev/urandom > "$root/etc/munge.key")
  write_configuration
  start_one munged
  wait_for 50 munge -S "$root/run/munge.socket" -n || { cat "$root/log/munged.log" >&2; exit 4; }
  export SLURM_CONF=$root/slurm.conf
  start_one slurmctld
  start_one slurmd
  wait_for 300 sh -c "sinfo -h -o %T | grep -q idle" ||
    { sinfo >&2; tail -n 20 "$root"/log/slurm*.log >&2; exit 5; }
}

case $verb in
  up) up ;;
  down) down ;;
  stop) stop_one "$daemon" ;;
  start) start_one "$daemon" ;;
  *) echo "unknown: $verb" >&2; exit 2 ;;
esac
