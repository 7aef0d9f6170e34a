# frozen_string_literal: true

# SPDX-License-Identifier: MIT
#
# NAT-PMP and PCP for Ruby: the libnatpmpc library by Fiddle, with the interface of the natpmp gem.
#
#   require 'natpmp'
#   NATPMP.map 633, 13033, 10, :tcp do |map|
#     puts "#{NATPMP.addr}:#{map.mapped}" # the mapping is renewed until this exits
#   end
#
# Without a block the mapping is left to its lifetime. Needs libnatpmpc.so.0 where the loader finds it, or
# its path in the environment variable NATPMPC_LIBRARY; nothing is compiled.
require 'fiddle'
require 'fiddle/import'

# A mapping, and what there is to be asked of a gateway.
class NATPMP
  # Flags of a mapping: suggest no external port; or that external port or none.
  ANY_PORT = 1
  EXACT_PORT = 2

  # What the library said no with: its message, and its status as in natpmpc.h.
  class Error < StandardError
    attr_reader :status

    def initialize(status, cause = nil)
      @status = status
      super(Library.strerror(status).to_s + (cause ? ": #{cause}" : ''))
    end
  end

  # natpmpc.h. All that is known of how its structs are laid out is here; a test compares it with the header.
  module Library
    extend Fiddle::Importer
    dlload ENV.fetch('NATPMPC_LIBRARY', 'libnatpmpc.so.0')
    typealias 'uint16_t', 'unsigned short'
    typealias 'uint32_t', 'unsigned int'
    typealias 'uint64_t', 'unsigned long long'

    # In place of a type that is not known yet: a member of a struct in a struct, under a name of its own.
    def self.inside(prefix, members)
      members.map { |member| member.sub(/(\w+)(\[\d+\])?\z/, "#{prefix}_\\1\\2") }
    end

    MAPPING = ['int protocol', 'uint16_t internal_port', 'uint16_t external_port', 'uint32_t lifetime',
               'uint32_t flags', 'char internal_address[46]', 'char external_address[46]', 'int dialect', 'uint32_t reserved[6]'].freeze
    Mapping = struct(MAPPING)
    State = struct(['int status', *inside('mapping', MAPPING), 'unsigned int failures', 'int result',
                    'uint64_t expires_in', 'uint64_t retry_in', 'uint32_t reserved[6]'])
    Options = struct(['size_t size', 'const char *gateway', 'uint16_t gateway_port', 'const char *interface',
                      'const char *source', 'uint32_t deadline', 'void *log', 'void *log_arg', 'int vpn_ports',
                      'int dialect', 'int family', 'void *secret', 'size_t secret_size'])

    extern 'const char *natpmp_strerror(int)'
    extern 'int natpmp_new(void *, void *)'
    extern 'int natpmp_free(void *)'
    extern 'int natpmp_map(void *, void *)'
    extern 'int natpmp_external_address(void *, void *)'
    extern 'int natpmp_with_mapping(void *, void *, void *, void *)'
    extern 'int natpmp_lease_state(void *, void *)'

    SYSTEM = -21
    NEVER = (2**64) - 1
    PROTOCOLS = { udp: 1, tcp: 2, both: 3 }.freeze
    DIALECTS = { auto: 0, natpmp: 1, pcp: 2 }.freeze
    FAMILIES = { 4 => 0, ipv4: 0, 6 => 1, ipv6: 1 }.freeze
    SECRET_SIZES = (16..64).freeze

    def self.strerror(status) = natpmp_strerror(status)

    # Raise what a status other than 0 means.
    def self.check(status, given = {})
      return if status.zero?

      cause = status == SYSTEM ? SystemCallError.new(Fiddle.last_error).message : given.inspect
      raise Error.new(status, given.empty? && status != SYSTEM ? nil : cause)
    end

    def self.text(chars) = chars.take_while { |char| char != 0 }.pack('c*')

    def self.number(what, value, numbers)
      key = value.is_a?(String) ? value.to_sym : value
      numbers.fetch(key) { raise ArgumentError, "#{what} is #{value.inspect}, not one of #{numbers.keys.map(&:inspect).join(', ')}" }
    end

    # No message shows it.
    def self.secret(secret)
      raise ArgumentError, 'secret has to be a String' unless secret.is_a?(String)
      return Fiddle::Pointer[secret] if SECRET_SIZES.cover?(secret.bytesize)

      raise ArgumentError, "secret has #{secret.bytesize} bytes: #{SECRET_SIZES.min} to #{SECRET_SIZES.max}"
    end

    # A context with these options for as long as the block runs; whoever closes it hears how that went.
    def self.context(options)
      given = Options.malloc(Fiddle::RUBY_FREE)
      given.to_ptr[0, Options.size] = "\0" * Options.size
      given.size = Options.size
      strings = %i[gateway interface source].to_h { |name| [name, options[name] && Fiddle::Pointer[options[name].to_s]] }
      strings.each { |name, pointer| given.public_send(:"#{name}=", pointer) if pointer }
      given.gateway_port = options.fetch(:gateway_port, 0)
      given.deadline = options.fetch(:deadline, 0)
      given.vpn_ports = options[:vpn_ports] ? 1 : 0
      given.dialect = number('dialect', options.fetch(:dialect, :auto), DIALECTS)
      given.family = number('family', options.fetch(:family, 4), FAMILIES)
      if options[:secret]
        given.secret = kept = secret(options[:secret])
        given.secret_size = options[:secret].bytesize
      end
      place = Fiddle::Pointer.malloc(Fiddle::SIZEOF_VOIDP, Fiddle::RUBY_FREE)
      check natpmp_new(place, given), options.reject { |name, _| name == :secret }
      begin
        context = place.ptr
        yield context
      ensure
        closed = natpmp_free(context)
        warn "natpmp: a mapping could not be closed: #{strerror(closed)}" unless closed.zero?
      end
    end
  end

  @options = {}
  class << self
    # For all that follows: gateway:, gateway_port:, interface:, source:, deadline: (ms), vpn_ports:,
    # dialect: (:auto, :natpmp or :pcp), family: (4 or 6, also :ipv4 or :ipv6), secret: (16 to 64 bytes, to be
    # kept secret: with the same ones a later program can renew by PCP what this one has opened).
    attr_accessor :options

    # Open priv, this host's port, to the world as pub (0: the same number) for maxlife seconds at a time.
    # With a block: keep it open while the block runs, give the block's value. type is :tcp, :udp or :both.
    # Besides the options above, flags: may be ANY_PORT or EXACT_PORT.
    def map(priv, pub = 0, maxlife = 7200, type = :tcp, **options, &block)
      mapping = new(priv, pub, maxlife, type, self.options.merge(options))
      block ? mapping.hold(&block) : mapping.open
    end

    # The gateway's external address; nil if it has none to tell.
    def addr(**options)
      Library.context(self.options.merge(options)) do |context|
        address = Fiddle::Pointer.malloc(46, Fiddle::RUBY_FREE)
        Library.check Library.natpmp_external_address(context, address)
        address.to_s.empty? ? nil : address.to_s
      end
    end
  end

  # As wanted, but for priv: the port that was picked for 0.
  attr_reader :pub, :maxlife, :type

  def initialize(priv, pub, maxlife, type, options)
    @pub = pub
    @maxlife = maxlife
    @type = type.to_sym
    @options = options
    @lock = Mutex.new # the lease ends while other threads may ask for it
    @mapping = Library::Mapping.malloc(Fiddle::RUBY_FREE)
    @mapping.to_ptr[0, Library::Mapping.size] = "\0" * Library::Mapping.size
    @mapping.protocol = Library::PROTOCOLS.fetch(@type) { raise ArgumentError, "type is #{type.inspect}, not :tcp, :udp or :both" }
    @mapping.internal_port = port(priv)
    @mapping.external_port = port(pub)
    @mapping.lifetime = maxlife
    @mapping.flags = options.fetch(:flags, 0)
  end

  # This host's port, the gateway's, and for how many seconds the gateway opened it: as it is now.
  def priv = now.internal_port
  def mapped = now.external_port
  def life = now.lifetime
  # This host's address as the gateway sees it, and the gateway's own, "" if it tells none.
  def internal_address = Library.text(now.internal_address)
  def external_address = Library.text(now.external_address)
  # :natpmp or :pcp, in which it was made; nil: not made so far.
  def dialect = now.dialect.zero? ? nil : Library::DIALECTS.key(now.dialect)

  # Is it open, as far as is known? While the block runs: a gateway may be away for a while.
  def up?
    now
    @status&.zero? || false
  end

  # While the block runs, else nil: the gateway's result code behind the last failure, 0 if there is none.
  def result = state&.result

  # The same: seconds until its lifetime ends, unless it is renewed; nil if it is not up.
  def expires_in = state { |s| s.expires_in / 1000.0 if s.status.zero? }

  # The same: seconds until the next try; nil if it is up, or waits for something else.
  def retry_in = state { |s| s.retry_in / 1000.0 unless s.status.zero? || s.retry_in == Library::NEVER }

  def inspect = "#<NATPMP #{type} #{join(external_address, mapped)} -> #{join(internal_address, priv)} for #{life} s>"

  # Leave it to its lifetime.
  def open
    Library.context(@options) { |context| Library.check Library.natpmp_map(context, @mapping) }
    @status = 0
    self
  end

  # The library's own thread renews it, so the block may be busy. It may be left by break, throw or raise.
  def hold
    held = Queue.new
    over = Queue.new
    keeper = Thread.new { keep(held, over) }
    keeper.report_on_exception = false
    raise held.pop if held.pop == :failed

    begin
      yield self
    ensure
      over << true
      keeper.join
    end
  end

  private

  def join(address, port) = address.include?(':') ? "[#{address}]:#{port}" : "#{address}:#{port}"

  def port(number)
    return number if (0..65_535).cover?(number)

    raise ArgumentError, "#{number} is not a port: 0 to 65535"
  end

  # On a thread of its own, for natpmp_with_mapping() may not be left by an exception.
  def keep(held, over)
    body = Fiddle::Closure::BlockCaller.new(Fiddle::TYPE_INT, [Fiddle::TYPE_VOIDP] * 3) do |lease, _granted, _arg|
      @lease = lease
      now
      held << :open
      over.pop
      now # that is still to be asked for afterwards
      @lock.synchronize { @lease = @status = @state = nil }
      0
    end
    Library.context(@options) do |context|
      Library.check Library.natpmp_with_mapping(context, @mapping, body, nil)
    end
  rescue StandardError => e
    held << :failed << e
  end

  def state
    now
    kept = @state
    kept && block_given? ? yield(kept) : kept
  end

  # Status and mapping, of one moment.
  def now
    @lock.synchronize do
      next @mapping unless @lease

      state = Library::State.malloc(Fiddle::RUBY_FREE)
      Library.check Library.natpmp_lease_state(@lease, state)
      @state = state
      @status = state.status
      offset = Library::State.offsetof('mapping_protocol')
      @mapping.to_ptr[0, Library::Mapping.size] = state.to_ptr[offset, Library::Mapping.size]
      @mapping
    end
  end
end
