# The routes of Rails, each of which ends in `(.:format)`. rails.rb PORT
require 'logger'
require 'action_controller'
require 'rack/handler/webrick'

ran = ->(path) { [200, { 'Content-Type' => 'text/plain' }, ["RAN #{path}\n"]] }
routes = ActionDispatch::Routing::RouteSet.new
routes.draw do
  runs = lambda do |template|
    ->(env) { ran.call(format(template, **env['action_dispatch.request.path_parameters'])) }
  end
  get '/', to: runs.call('/')
  get '/admin', to: runs.call('/admin')
  get '/admin/settings', to: runs.call('/admin/settings')
  get '/secret', to: runs.call('/secret')
  get '/users', to: runs.call('/users')
  get '/users/:name', to: runs.call('/users/%<name>s')
  get '/panel/*rest', to: runs.call('/panel/%<rest>s')
  get '/static/*rest', to: runs.call('/static/%<rest>s'), format: false
end

Rack::Handler::WEBrick.run(
  routes, Host: '127.0.0.1', Port: ARGV[0].to_i, AccessLog: [], Logger: WEBrick::Log.new($stderr, 1)
)
